// @ts-check
/** The maps that are known of one caption, and the asking for others. */

import { Refusal } from './questions.js';

/** @typedef {import('./map.js').PictureMap} PictureMap */
/** @typedef {import('./protocol.js').Caption} Caption */
/** @typedef {import('./protocol.js').Checked} Checked */
/** @typedef {import('./protocol.js').Progress} Progress */
/** @typedef {import('./protocol.js').Target} Target */

/** A method that took no longer than this is asked again without being told to. */
const QUICK_MS = 1_500;

export class Explained {
  #questions;
  /** @type {Map<string, PictureMap>} */
  #maps = new Map();
  #isCutOff = false;
  /** @type {Map<string, Checked>} */
  #checks = new Map();
  /** By the name of the method. @type {Map<string, number>} */
  #tookMs = new Map();

  /**
   * @param {import('./questions.js').Questions} questions
   * @param {Caption} caption
   * @param {string} live  The method of maps that come with captions: it is always quick.
   */
  constructor(questions, caption, live) {
    this.#questions = questions;
    this.caption = caption;
    this.#tookMs.set(live, 0);
    if (caption.maps === null) return;
    const { method, words, caption: whole } = caption.maps;
    words.forEach((map, index) => this.#maps.set(keyOf(method, { kind: 'word', index }), map));
    this.#maps.set(keyOf(method, { kind: 'caption' }), whole);
  }

  /** From now on the server knows nothing of the caption: nothing is asked any more. */
  cutOff() {
    this.#isCutOff = true;
  }

  /** @param {string} method @param {Target} target */
  known(method, target) {
    return this.#maps.get(keyOf(method, target));
  }

  /** @param {string} method */
  isQuick(method) {
    return (this.#tookMs.get(method) ?? Infinity) <= QUICK_MS;
  }

  /** @param {string} method  By which the maps of all words are known, or none is returned. */
  ofAllWords(method) {
    const { words } = this.caption;
    const maps = words.flatMap((_, index) => this.known(method, { kind: 'word', index }) ?? []);
    return maps.length === words.length ? maps : [];
  }

  /**
   * @param {string} method
   * @param {Target} target
   * @param {AbortSignal} signal
   * @param {(progress: Progress) => void} [onProgress]
   * @returns {Promise<PictureMap>}  Rejects with a Refusal.
   */
  async ask(method, target, signal, onProgress) {
    const known = this.known(method, target);
    if (known) return known;
    if (this.#isCutOff) throw new Refusal('unconnected');
    const question = { seq: this.caption.seq, method, of: target };
    const { map, took_ms } = await this.#questions.explain(question, signal, onProgress);
    this.#maps.set(keyOf(method, target), map);
    this.#tookMs.set(method, Math.min(took_ms, this.#tookMs.get(method) ?? Infinity));
    return map;
  }

  /**
   * @param {string} method
   * @param {number} index  Of the word.
   * @param {AbortSignal} signal
   * @returns {Promise<Checked>}  Rejects with a Refusal.
   */
  async check(method, index, signal) {
    const key = keyOf(method, { kind: 'word', index });
    const known = this.#checks.get(key);
    if (known) return known;
    if (this.#isCutOff) throw new Refusal('unconnected');
    const checked = await this.#questions.check({ seq: this.caption.seq, method, index }, signal);
    this.#checks.set(key, checked);
    return checked;
  }
}

/** @param {string} method @param {Target} target */
function keyOf(method, { kind, index, text }) {
  return JSON.stringify([method, kind, index ?? null, text ?? null]);
}
