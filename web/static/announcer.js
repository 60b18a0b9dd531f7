// @ts-check
/**
 * Decides what is announced: captions that mean something new, objects that were not told yet,
 * a few seconds apart. Objects are for screen readers; the voice says captions only.
 */

import { said } from './doubt.js';
import { contentWords, sameMeaning } from './meaning.js';
import { objectsText } from './objects.js';

/** @typedef {import('./protocol.js').Caption} Caption */
/** @typedef {import('./protocol.js').Tag} Tag */

const SHORTEST_GAP_MS = 4_000;

export class Announcer {
  #region;
  #voice;
  #announced = '';
  /** Names of the objects that were told with the announced caption or since. */
  #told = /** @type {Set<string>} */ (new Set());
  /** @type {Caption | null} */
  #newest = null;
  #announcedAt = -Infinity;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;

  /**
   * @param {HTMLElement} region  A polite live region.
   * @param {{say: (sentence: string) => void}} voice
   */
  constructor(region, voice) {
    this.#region = region;
    this.#voice = voice;
  }

  /** @param {Caption} caption  The newest caption, announced now, shortly or not at all. */
  hear(caption) {
    this.#newest = caption;
    if (this.#timer === undefined) this.#consider();
  }

  /** Forgets what was announced, so that the next caption is announced whatever it says. */
  reset() {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#newest = null;
    this.#told.clear();
    this.#announced = this.#region.textContent = '';
  }

  #consider() {
    if (this.#newest === null) return;
    const { tags } = this.#newest;
    const sentence = said(this.#newest);
    const isNew = sentence !== '' && !sameMeaning(sentence, this.#announced);
    const untold = tags.filter(({ text }) => !this.#told.has(text) && !mentions(sentence, text));
    if (!isNew && untold.length === 0) return;
    const wait = this.#announcedAt + SHORTEST_GAP_MS - performance.now();
    if (wait > 0) {
      this.#timer = setTimeout(() => {
        this.#timer = undefined;
        this.#consider();
      }, wait);
      return;
    }
    this.#announcedAt = performance.now();
    if (isNew) this.#told.clear();
    for (const { text } of tags) this.#told.add(text);
    this.#region.textContent = announcement(isNew ? sentence : '', untold);
    if (!isNew) return;
    this.#announced = sentence;
    this.#voice.say(sentence);
  }
}

/**
 * @param {string} sentence
 * @param {Tag[]} tags
 */
function announcement(sentence, tags) {
  if (tags.length === 0) return sentence;
  return `${sentence}${sentence && '. '}Also sure of: ${objectsText(tags)}`;
}

/**
 * @param {string} sentence
 * @param {string} name
 */
function mentions(sentence, name) {
  const words = contentWords(sentence);
  return [...contentWords(name)].every((word) => words.has(word));
}
