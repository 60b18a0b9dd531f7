// @ts-check
/** The newest caption: its words with their certainty, and its age, which ticks. */

import { ageText, durationText, staleAfter } from './age.js';
import { certaintyBand, confidenceText, percent } from './certainty.js';
import { said, worded } from './doubt.js';
import { whereText } from './whereabouts.js';

/** @typedef {import('./protocol.js').Caption} Caption */
/** @typedef {import('./protocol.js').Word} Word */

const TICK_MS = 100;
/** Captions longer than this are set smaller, so that they fit the same place. */
const LONG_CAPTION = 90;
const VERY_LONG_CAPTION = 170;

export class CaptionView {
  #parts;
  #guess;
  #objects;
  #looking;
  /** @type {Caption | null} */
  #caption = null;
  /** Time of capture on the clock of performance.now(). */
  #capturedAt = 0;
  /** The same of the first picture that this caption was kept for. */
  #standsSince = 0;
  #staleAfterS = staleAfter(1);
  /** @type {HTMLButtonElement[]} */
  #words = [];
  #inspected = -1;
  #lastInspected = -1;

  /**
   * @param {object} parts
   * @param {HTMLElement} parts.lead      Owns up to a doubt, before the words.
   * @param {HTMLElement} parts.caption   Holds the words.
   * @param {HTMLElement} parts.sentence  The caption as one plain sentence, for screen readers.
   * @param {HTMLElement} parts.age
   * @param {HTMLElement} parts.sightline The line that is as long as the caption is old.
   * @param {HTMLElement} parts.certainty Of the caption as a whole; a button.
   * @param {HTMLElement} parts.panel     Carries the states: data-age, data-empty, data-unsure.
   * @param {import('./doubt.js').GuessView} guess
   * @param {import('./objects.js').ObjectsView} objects
   * @param {import('./looking.js').Looking} looking
   */
  constructor(parts, guess, objects, looking) {
    this.#parts = parts;
    this.#guess = guess;
    this.#objects = objects;
    this.#looking = looking;
    parts.caption.addEventListener('keydown', (event) => this.#moveFocus(event));
    parts.caption.addEventListener('pointerover', (event) => this.#inspect(event.target));
    parts.caption.addEventListener('focusin', (event) => this.#inspect(event.target));
    parts.caption.addEventListener('click', (event) => this.#choose(event.target));
    parts.caption.addEventListener('pointerleave', () => this.#inspect(document.activeElement));
    parts.caption.addEventListener('focusout', () => this.#inspect(null));
    for (const type of ['pointerenter', 'focus', 'click']) {
      parts.certainty.addEventListener(type, () => looking.point({ kind: 'caption' }));
    }
    for (const type of ['pointerleave', 'blur']) {
      parts.certainty.addEventListener(type, () => this.#pointAtInspected());
    }
    setInterval(() => this.#tick(), TICK_MS);
    this.clear();
  }

  /**
   * @param {Caption} caption
   * @param {number} capturedAt  Time of the frame on the clock of performance.now().
   * @param {number} intervalS   Seconds between captions, which decide when one is stale.
   */
  show(caption, capturedAt, intervalS) {
    if (caption.text !== this.#caption?.text) this.#lastInspected = this.#inspected;
    if (!caption.kept || caption.text !== this.#caption?.text) this.#standsSince = capturedAt;
    this.#caption = caption;
    this.#capturedAt = capturedAt;
    this.#staleAfterS = staleAfter(intervalS);
    this.#setWords(wordsOf(caption), caption.fallback === 'tags' ? ', ' : ' ');
    this.#words.forEach((button, index) => setPlace(button, caption.maps?.words[index]));
    const { panel, caption: words, lead, sentence, certainty } = this.#parts;
    sentence.textContent = this.said;
    lead.textContent = worded(caption).lead;
    certainty.textContent = confidenceText(caption);
    setPlace(certainty, caption.maps?.caption);
    words.dataset.seq = String(caption.seq);
    words.dataset.length = lengthClass(caption.text);
    panel.toggleAttribute('data-unsure', caption.fallback !== null);
    delete panel.dataset.empty;
    this.#guess.show(caption.guess);
    this.#objects.show(caption.fallback === 'tags' ? [] : caption.tags);
    this.#looking.show(caption);
    this.#markInspected();
    this.#tick();
  }

  /** What is shown. */
  get caption() {
    return this.#caption;
  }

  /** When its picture was taken. */
  get taken() {
    return new Date(Date.now() - (performance.now() - this.#capturedAt));
  }

  /** The word of this caption that was pointed at last; negative if none was. */
  get lastInspected() {
    return this.#lastInspected;
  }

  /** What is shown, in one line; empty before the first caption. */
  get said() {
    return this.#caption ? said(this.#caption) : '';
  }

  clear() {
    const { panel, lead, sentence, certainty, caption, age } = this.#parts;
    this.#caption = null;
    this.#inspected = -1;
    this.#setWords([], ' ');
    this.#guess.show('');
    this.#objects.show([]);
    sentence.textContent = certainty.textContent = age.textContent = lead.textContent = '';
    delete caption.dataset.seq;
    delete panel.dataset.age;
    delete panel.dataset.unsure;
    panel.dataset.empty = '';
    this.#looking.show(null);
  }

  #tick() {
    if (this.#caption === null) return;
    const now = performance.now();
    const seconds = Math.max(0, now - this.#capturedAt) / 1000;
    const { panel, age, sightline } = this.#parts;
    const stale = seconds > this.#staleAfterS;
    const stands = durationText((now - this.#standsSince) / 1000);
    const remark = stale ? ', out of date' : this.#caption.kept ? `, the same for ${stands}` : '';
    age.textContent = `${ageText(seconds)}${remark}`;
    panel.dataset.age = stale ? 'stale' : 'fresh';
    sightline.style.setProperty('--age', Math.min(1, seconds / this.#staleAfterS).toFixed(3));
  }

  /**
   * Words are replaced in place, so that the focus and the pointer stay on theirs.
   *
   * @param {Word[]} words
   * @param {string} gap  What stands between them.
   */
  #setWords(words, gap) {
    const focused = this.#focused;
    while (this.#words.length < words.length) this.#addButton();
    if (focused >= words.length) this.#words[words.length - 1]?.focus();
    for (const surplus of this.#words.splice(words.length)) {
      surplus.nextSibling?.remove();
      surplus.remove();
    }
    words.forEach((word, index) => {
      const button = this.#words[index];
      if (word.text !== button.textContent) fadeIn(button);
      setWord(button, word);
      const next = words[index + 1]?.text;
      const rest = next === undefined || next.startsWith("'") ? '' : gap;
      if (button.nextSibling) button.nextSibling.textContent = rest;
    });
    this.#inspected = Math.min(this.#inspected, words.length - 1);
    this.#setTabStop();
  }

  #addButton() {
    const button = document.createElement('button');
    button.type = 'button';
    button.className = 'word';
    this.#words.push(button);
    this.#parts.caption.append(button, ' ');
  }

  /**
   * One word is in the order of the tabulator, the others are reached by arrow keys. A pointer that
   * is over another one must not draw the tabulator there.
   */
  #setTabStop() {
    const stop = this.#focused < 0 ? Math.max(0, this.#inspected) : this.#focused;
    this.#words.forEach((button, index) => (button.tabIndex = index === stop ? 0 : -1));
  }

  /** Which of the words has the focus; negative if none has. */
  get #focused() {
    return this.#words.findIndex((button) => button === document.activeElement);
  }

  /** @param {KeyboardEvent} event */
  #moveFocus(event) {
    const at = this.#words.findIndex((button) => button === event.target);
    const last = this.#words.length - 1;
    const targets = { ArrowLeft: at - 1, ArrowRight: at + 1, Home: 0, End: last };
    const target = targets[/** @type {keyof typeof targets} */ (event.key)];
    if (at < 0 || target === undefined) return;
    event.preventDefault();
    this.#words[Math.min(last, Math.max(0, target))].focus();
  }

  /** @param {EventTarget | null} target */
  #inspect(target) {
    const index = this.#words.findIndex((button) => button === target);
    if (index < 0 && target === this.#parts.caption) return;
    this.#inspected = index;
    if (index >= 0) {
      this.#lastInspected = index;
      this.#setTabStop();
    }
    this.#markInspected();
    this.#pointAtInspected();
  }

  /** An object that stands in the place of a word is asked for only when it is chosen. */
  #choose(/** @type {EventTarget | null} */ target) {
    this.#inspect(target);
    const object = this.#caption?.fallback === 'tags' && this.#caption.tags[this.#inspected];
    if (object) this.#looking.object = object.text;
  }

  #pointAtInspected() {
    const index = this.#inspected;
    this.#looking.point(index < 0 ? null : { kind: 'word', index });
  }

  #markInspected() {
    this.#words.forEach((button, index) =>
      button.toggleAttribute('data-inspected', index === this.#inspected),
    );
  }
}

/**
 * The words of a caption as its sentence has them, the first perhaps with a capital; or the
 * objects that are left to say.
 *
 * @param {Caption} caption
 * @returns {Word[]}
 */
function wordsOf(caption) {
  if (caption.fallback === 'tags') return caption.tags.map((tag) => ({ ...tag, alternatives: [] }));
  const { text } = worded(caption);
  return caption.words.map((word, index) =>
    index === 0 ? { ...word, text: text.slice(0, word.text.length) } : word,
  );
}

/**
 * @param {HTMLButtonElement} button
 * @param {Word} word
 */
function setWord(button, word) {
  button.textContent = word.text;
  button.dataset.certainty = certaintyBand(word.prob);
  button.style.setProperty('--sure', word.prob.toFixed(2));
  button.setAttribute('aria-label', `${word.text}, ${percent(word.prob)} sure`);
}

/**
 * What its map shows, for those who do not see it.
 *
 * @param {HTMLElement} element
 * @param {import('./map.js').PictureMap | undefined} map
 */
function setPlace(element, map) {
  if (map) element.setAttribute('aria-description', `what spoke for it: ${whereText(map)}`);
  else element.removeAttribute('aria-description');
}

/** @param {string} text */
function lengthClass(text) {
  if (text.length > VERY_LONG_CAPTION) return 'very-long';
  return text.length > LONG_CAPTION ? 'long' : 'usual';
}

/** @param {HTMLElement} element */
function fadeIn(element) {
  if (matchMedia('(prefers-reduced-motion: reduce)').matches) return;
  element.animate([{ opacity: 0.4 }, { opacity: 1 }], { duration: 240, easing: 'ease-out' });
}
