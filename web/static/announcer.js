// @ts-check
/** Decides which captions are announced: those that mean something new, a few seconds apart. */

import { sameMeaning } from './meaning.js';

const SHORTEST_GAP_MS = 4_000;

export class Announcer {
  #region;
  #voice;
  #announced = '';
  #newest = '';
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

  /** @param {string} caption  The newest caption, announced now, shortly or not at all. */
  hear(caption) {
    this.#newest = caption;
    if (this.#timer === undefined) this.#consider();
  }

  /** Forgets what was announced, so that the next caption is announced whatever it says. */
  reset() {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#announced = this.#newest = this.#region.textContent = '';
  }

  #consider() {
    if (this.#newest === '' || sameMeaning(this.#newest, this.#announced)) return;
    const wait = this.#announcedAt + SHORTEST_GAP_MS - performance.now();
    if (wait > 0) {
      this.#timer = setTimeout(() => {
        this.#timer = undefined;
        this.#consider();
      }, wait);
      return;
    }
    this.#announcedAt = performance.now();
    this.#announced = this.#newest;
    this.#region.textContent = this.#newest;
    this.#voice.say(this.#newest);
  }
}
