// @ts-check
/** What can be chosen of an analysis of concepts: where they are from, and for which word. */

import { ownWords } from './doubt.js';

/** @typedef {import('./protocol.js').Caption} Caption */
/** @typedef {import('./protocol.js').Model} Model */

const NO_BANK =
  'This captioner has no bank of concepts. They can be sought in the last pictures of this ' +
  'stream.';

export class ConceptOptions {
  #parts;

  /**
   * @param {object} parts
   * @param {HTMLElement} parts.scopes    Holds radio buttons.
   * @param {HTMLElement} parts.pictures  Tells how many there are.
   * @param {HTMLElement} parts.wordField
   * @param {HTMLSelectElement} parts.word
   */
  constructor(parts) {
    this.#parts = parts;
    parts.scopes.addEventListener('change', () => this.#showField());
    this.#showField();
  }

  /**
   * @param {Caption} caption
   * @param {Model | null} model
   * @returns {string}  What the model cannot do, if anything.
   */
  offer(caption, model) {
    const hasBank = model?.concepts !== false;
    this.#parts.word.replaceChildren(
      new Option('all content words', ''),
      ...ownWords(caption).map((word) => new Option(`“${word}”`, word)),
    );
    this.#choose(hasBank ? 'bank' : 'frames', hasBank);
    return hasBank ? '' : NO_BANK;
  }

  /** @param {number} count  Of the pictures in which concepts would be sought. */
  set pictures(count) {
    const text = count === 1 ? '1 picture so far' : `${count} pictures so far`;
    if (this.#parts.pictures.textContent !== text) this.#parts.pictures.textContent = text;
  }

  get params() {
    const scope = this.#scope;
    return scope === 'bank' ? { scope } : { scope, word: this.#parts.word.value };
  }

  get #scope() {
    return this.#parts.scopes.querySelector('input:checked')?.getAttribute('value') ?? 'bank';
  }

  /** @param {'bank' | 'frames'} scope @param {boolean} hasBank */
  #choose(scope, hasBank) {
    for (const radio of this.#parts.scopes.querySelectorAll('input')) {
      radio.checked = radio.value === scope;
      if (radio.value === 'bank') radio.disabled = !hasBank;
    }
    this.#showField();
  }

  #showField() {
    this.#parts.wordField.hidden = this.#scope !== 'frames';
  }
}
