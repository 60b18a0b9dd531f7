// @ts-check
/** The heat maps and checks of one caption: cached, and requested if they are missing. */

import { RequestError } from '../session/requests.js';

/** @typedef {import('../captions/caption.js').Caption} Caption */
/** @typedef {import('../heatmaps/heat_map.js').HeatMap} HeatMap */
/** @typedef {import('../session/explanation_messages.js').Checked} Checked */
/** @typedef {import('../session/explanation_messages.js').Progress} Progress */
/** @typedef {import('../session/explanation_messages.js').Target} Target */
/** @typedef {import('../session/requests.js').Requests} Requests */

/** A method that took at most this long is run without the user's asking for it. */
const FAST_MS = 1_500;

export class ExplanationCache {
  #requests;
  #isConnected = true;
  /** @type {Map<string, HeatMap>} */
  #maps = new Map();
  /** @type {Map<string, Checked>} */
  #checks = new Map();
  #isFree;
  /** The shortest time of each method. @type {Map<string, number>} */
  #tookMs = new Map();

  /**
   * @param {Requests} requests
   * @param {Caption} caption
   * @param {string | null} liveMethod  The method of the maps that come with captions, which is
   *   fast.
   * @param {boolean} isFree  Whether maps may be computed without the user's asking for them.
   */
  constructor(requests, caption, liveMethod, isFree) {
    this.#requests = requests;
    this.#isFree = isFree;
    this.caption = caption;
    if (liveMethod !== null) this.#tookMs.set(liveMethod, 0);
    if (caption.maps === null) return;
    const { method, words, caption: whole } = caption.maps;
    words.forEach((map, index) => this.#maps.set(keyOf(method, { kind: 'word', index }), map));
    this.#maps.set(keyOf(method, { kind: 'caption' }), whole);
  }

  /** Fails all further requests: the server has released the frame. */
  disconnect() {
    this.#isConnected = false;
  }

  /** @param {string} method @param {Target} target */
  get(method, target) {
    return this.#maps.get(keyOf(method, target));
  }

  get isFree() {
    return this.#isFree;
  }

  /** @param {string} method */
  isFast(method) {
    return this.#isFree && (this.#tookMs.get(method) ?? Infinity) <= FAST_MS;
  }

  /** @param {string} method @returns {HeatMap[]}  One per word; empty unless all are cached. */
  mapsOfAllWords(method) {
    const { words } = this.caption;
    const maps = words.flatMap((_, index) => this.get(method, { kind: 'word', index }) ?? []);
    return maps.length === words.length ? maps : [];
  }

  /**
   * @param {string} method
   * @param {Target} target
   * @param {AbortSignal} signal
   * @param {(progress: Progress) => void} [onProgress]
   * @returns {Promise<HeatMap>}  Rejects with a RequestError.
   */
  async request(method, target, signal, onProgress) {
    const cached = this.get(method, target);
    if (cached) return cached;
    if (!this.#isConnected) throw new RequestError('unconnected');
    const params = { seq: this.caption.seq, method, of: target };
    const { map, took_ms } = await this.#requests.explain(params, signal, onProgress);
    this.#maps.set(keyOf(method, target), map);
    this.#tookMs.set(method, Math.min(took_ms, this.#tookMs.get(method) ?? Infinity));
    return map;
  }

  /**
   * @param {string} method
   * @param {number} index  Of the word.
   * @param {AbortSignal} signal
   * @param {(progress: Progress) => void} [onProgress]
   * @returns {Promise<Checked>}  Rejects with a RequestError.
   */
  async check(method, index, signal, onProgress) {
    const key = keyOf(method, { kind: 'word', index });
    const cached = this.#checks.get(key);
    if (cached) return cached;
    if (!this.#isConnected) throw new RequestError('unconnected');
    const params = { seq: this.caption.seq, method, index };
    const checked = await this.#requests.check(params, signal, onProgress);
    this.#checks.set(key, checked);
    return checked;
  }
}

/** @param {string} method @param {Target} target */
function keyOf(method, { kind, index, text }) {
  return JSON.stringify([method, kind, index ?? null, text ?? null]);
}
