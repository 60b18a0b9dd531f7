// @ts-check
/** The newest caption: its words with their certainty, and its age, which ticks. */

import { ageText, staleAfter } from './age.js';

/** @typedef {import('./protocol.js').Caption} Caption */
/** @typedef {import('./protocol.js').Word} Word */

const TICK_MS = 100;
/** Captions longer than this are set smaller, so that they fit the same place. */
const LONG_CAPTION = 90;
const VERY_LONG_CAPTION = 170;

export class CaptionView {
  #parts;
  /** @type {Caption | null} */
  #caption = null;
  /** The next caption while this one is held. @type {(() => void) | null} */
  #later = null;
  #held = false;
  /** Time of capture on the clock of performance.now(). */
  #capturedAt = 0;
  #staleAfterS = staleAfter(1);
  /** @type {HTMLButtonElement[]} */
  #words = [];
  #inspected = -1;

  /**
   * @param {object} parts
   * @param {HTMLElement} parts.caption   Holds the words.
   * @param {HTMLElement} parts.sentence  The caption as one plain sentence, for screen readers.
   * @param {HTMLElement} parts.age
   * @param {HTMLElement} parts.sightline The line that is as long as the caption is old.
   * @param {HTMLElement} parts.certainty Of the caption as a whole.
   * @param {HTMLElement} parts.detail    About the word that is pointed at.
   * @param {HTMLElement} parts.panel     Carries the states: data-age, data-held, data-empty.
   */
  constructor(parts) {
    this.#parts = parts;
    parts.caption.addEventListener('keydown', (event) => this.#moveFocus(event));
    parts.caption.addEventListener('pointerover', (event) => this.#inspect(event.target));
    parts.caption.addEventListener('focusin', (event) => this.#inspect(event.target));
    parts.caption.addEventListener('click', (event) => this.#inspect(event.target));
    parts.caption.addEventListener('pointerleave', () => this.#inspect(document.activeElement));
    parts.caption.addEventListener('focusout', () => this.#inspect(null));
    setInterval(() => this.#tick(), TICK_MS);
    this.clear();
  }

  /**
   * @param {Caption} caption
   * @param {number} capturedAt  Time of the frame on the clock of performance.now().
   * @param {number} intervalS   Seconds between captions, which decide when one is stale.
   */
  show(caption, capturedAt, intervalS) {
    if (this.#held) {
      this.#later = () => this.show(caption, capturedAt, intervalS);
      return;
    }
    const before = this.#caption?.text.split(' ') ?? [];
    this.#caption = caption;
    this.#capturedAt = capturedAt;
    this.#staleAfterS = staleAfter(intervalS);
    this.#setWords(wordsOf(caption), before);
    const { panel, caption: words, sentence, certainty } = this.#parts;
    sentence.textContent = caption.text;
    certainty.textContent = `${percent(caption.confidence)} sure overall`;
    words.dataset.seq = String(caption.seq);
    words.dataset.length = lengthClass(caption.text);
    delete panel.dataset.empty;
    this.#describeInspected();
    this.#tick();
  }

  /** Keeps this caption in place, so that its words can be looked at, or lets it go. */
  set held(/** @type {boolean} */ held) {
    this.#held = held;
    this.#parts.panel.toggleAttribute('data-held', held);
    if (!held) this.#later?.();
    this.#later = null;
  }

  get held() {
    return this.#held;
  }

  /** What is shown; empty before the first caption. */
  get text() {
    return this.#caption?.text ?? '';
  }

  clear() {
    const { panel, sentence, certainty, caption, age } = this.#parts;
    this.held = false;
    this.#caption = null;
    this.#inspected = -1;
    this.#setWords([], []);
    sentence.textContent = certainty.textContent = age.textContent = '';
    delete caption.dataset.seq;
    delete panel.dataset.age;
    panel.dataset.empty = '';
    this.#describeInspected();
  }

  #tick() {
    if (this.#caption === null) return;
    const seconds = Math.max(0, performance.now() - this.#capturedAt) / 1000;
    const { panel, age, sightline } = this.#parts;
    const stale = seconds > this.#staleAfterS;
    age.textContent = stale ? `${ageText(seconds)}, out of date` : ageText(seconds);
    panel.dataset.age = stale ? 'stale' : 'fresh';
    sightline.style.setProperty('--age', Math.min(1, seconds / this.#staleAfterS).toFixed(3));
  }

  /**
   * Words are replaced in place, so that the focus and the pointer stay on theirs.
   *
   * @param {Word[]} words
   * @param {string[]} before  The words of the caption before.
   */
  #setWords(words, before) {
    const focused = this.#words.findIndex((button) => button === document.activeElement);
    while (this.#words.length < words.length) this.#addButton();
    if (focused >= words.length) this.#words[words.length - 1]?.focus();
    for (const surplus of this.#words.splice(words.length)) {
      surplus.nextSibling?.remove();
      surplus.remove();
    }
    words.forEach((word, index) => {
      setWord(this.#words[index], word);
      const joined = words[index + 1]?.text.startsWith("'");
      const gap = this.#words[index].nextSibling;
      if (gap) gap.textContent = joined ? '' : ' ';
      if (word.text !== before[index]) fadeIn(this.#words[index]);
    });
    this.#inspected = Math.min(this.#inspected, words.length - 1);
    this.#setTabStop(Math.max(0, this.#inspected));
  }

  #addButton() {
    const button = document.createElement('button');
    button.type = 'button';
    button.className = 'word';
    this.#words.push(button);
    this.#parts.caption.append(button, ' ');
  }

  /** One word is in the order of the tabulator, the others are reached by arrow keys. */
  #setTabStop(/** @type {number} */ stop) {
    this.#words.forEach((button, index) => (button.tabIndex = index === stop ? 0 : -1));
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
    if (index >= 0) this.#setTabStop(index);
    this.#describeInspected();
  }

  #describeInspected() {
    const { detail } = this.#parts;
    const word = this.#caption && wordsOf(this.#caption)[this.#inspected];
    this.#words.forEach((button, index) =>
      button.toggleAttribute('data-inspected', index === this.#inspected),
    );
    detail.toggleAttribute('data-word', Boolean(word));
    detail.textContent = word ? describe(word) : '';
  }
}

/**
 * The words of a caption as its sentence has them: the first with a capital.
 *
 * @param {Caption} caption
 * @returns {Word[]}
 */
function wordsOf({ text, words }) {
  return words.map((word, index) =>
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

/** @param {number} prob */
function certaintyBand(prob) {
  if (prob >= 0.6) return 'sure';
  return prob >= 0.3 ? 'fair' : 'guess';
}

/** @param {Word} word */
function describe({ text, prob, alternatives }) {
  const others = alternatives.map((other) => `${other.text} ${percent(other.prob)}`);
  const otherwise = others.length > 0 ? `; otherwise ${others.join(', ')}` : '';
  return `“${text}” ${percent(prob)} sure${otherwise}`;
}

/** @param {number} share */
function percent(share) {
  if (share > 0.995 && share < 1) return 'over 99%';
  if (share < 0.005 && share > 0) return 'under 1%';
  return `${Math.round(share * 100)}%`;
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
