// @ts-check
/** Announces captions to screen readers, and speaks them by the browser's speech synthesis. */

import { captionText } from './caption.js';
import { contentWords, haveSameContent } from './content_words.js';
import { percent } from '../common/format.js';

/** @typedef {import('./caption.js').Caption} Caption */
/** @typedef {import('./caption.js').Tag} Tag */

const MIN_GAP_MS = 4_000;
/** Some speech engines never fire `end`; an utterance is given up after this long. */
const MAX_UTTERANCE_MS = 15_000;

/**
 * Announces a caption when its content words are new, and tags that were not announced yet, a few
 * seconds apart at least. Tags are announced to screen readers only, and not spoken.
 */
export class Announcer {
  #region;
  #speech;
  #announced = '';
  /** Names of the tags that were announced with the current caption. @type {Set<string>} */
  #announcedTags = new Set();
  /** @type {Caption | null} */
  #newest = null;
  #announcedAt = -Infinity;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;

  /**
   * @param {HTMLElement} region  A polite live region.
   * @param {Speech} [speech]
   */
  constructor(region, speech) {
    this.#region = region;
    this.#speech = speech;
  }

  /** Announces a caption now, after the gap, or not at all. @param {Caption} caption */
  add(caption) {
    this.#newest = caption;
    if (this.#timer === undefined) this.#announceIfNew();
  }

  /** Clears the region, so that the next caption is announced whatever it says. */
  reset() {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#newest = null;
    this.#announcedTags.clear();
    this.#announced = this.#region.textContent = '';
  }

  #announceIfNew() {
    if (this.#newest === null) return;
    const { tags } = this.#newest;
    const text = captionText(this.#newest);
    const isNew = text !== '' && !haveSameContent(text, this.#announced);
    const newTags = tags.filter(
      ({ text: name }) => !this.#announcedTags.has(name) && !mentions(text, name),
    );
    if (!isNew && newTags.length === 0) return;
    const wait = this.#announcedAt + MIN_GAP_MS - performance.now();
    if (wait > 0) {
      this.#timer = setTimeout(() => {
        this.#timer = undefined;
        this.#announceIfNew();
      }, wait);
      return;
    }
    this.#announcedAt = performance.now();
    if (isNew) this.#announcedTags.clear();
    for (const { text: name } of tags) this.#announcedTags.add(name);
    this.#region.textContent = announcementText(isNew ? text : '', newTags);
    if (!isNew) return;
    this.#announced = text;
    this.#speech?.say(text);
  }
}

/**
 * @param {string} text
 * @param {Tag[]} tags
 */
function announcementText(text, tags) {
  if (tags.length === 0) return text;
  const names = tags.map(
    ({ text: name, prob }) => `${name} ${percent(prob).replace('%', ' percent')}`,
  );
  return `${text}${text && '. '}Objects: ${names.join(', ')}`;
}

/**
 * @param {string} text
 * @param {string} name
 */
function mentions(text, name) {
  const words = contentWords(text);
  return [...contentWords(name)].every((word) => words.has(word));
}

/** Speech synthesis of one caption at a time, followed by only the newest one that is waiting. */
export class Speech {
  #enabled = false;
  /**
   * The utterance being spoken. The reference keeps it alive: some browsers collect an utterance
   * that nothing refers to, and its events with it.
   *
   * @type {SpeechSynthesisUtterance | null}
   */
  #current = null;
  #waiting = '';
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timeout;

  static get isAvailable() {
    return 'speechSynthesis' in globalThis && 'SpeechSynthesisUtterance' in globalThis;
  }

  /** @param {boolean} enabled */
  set enabled(enabled) {
    this.#enabled = enabled;
    if (!enabled) this.stop();
  }

  /**
   * Speaks a text now, or after the current one unless a newer one replaces it.
   *
   * @param {string} text
   */
  say(text) {
    if (!this.#enabled || text === '') return;
    if (this.#current) this.#waiting = text;
    else this.#speak(text);
  }

  /** Stops speaking at once. */
  stop() {
    this.#clear();
    if (Speech.isAvailable) speechSynthesis.cancel();
  }

  /** @param {string} text */
  #speak(text) {
    const utterance = new SpeechSynthesisUtterance(text);
    utterance.lang = 'en';
    utterance.onend = utterance.onerror = () => this.#speakNext(utterance);
    this.#current = utterance;
    this.#timeout = setTimeout(() => {
      speechSynthesis.cancel();
      this.#speakNext(utterance);
    }, MAX_UTTERANCE_MS);
    speechSynthesis.speak(utterance);
  }

  /** @param {SpeechSynthesisUtterance} done */
  #speakNext(done) {
    if (done !== this.#current) return;
    const waiting = this.#waiting;
    this.#clear();
    if (waiting !== '' && this.#enabled) this.#speak(waiting);
  }

  #clear() {
    clearTimeout(this.#timeout);
    this.#current = null;
    this.#waiting = '';
  }
}
