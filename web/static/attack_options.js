// @ts-check
/** What can be chosen of an attack: how a change is measured, a word to be said, one to be lost. */

import { ownWords } from './doubt.js';

/** @typedef {import('./protocol.js').Caption} Caption */
/** @typedef {import('./protocol.js').Model} Model */

const NO_HARDENED =
  'This captioner has no hardened model to compare with: what fools it can be found, but not ' +
  'which words rest on fragile features.';

export class AttackOptions {
  #parts;

  /**
   * @param {object} parts
   * @param {HTMLElement} parts.norms       Holds radio buttons.
   * @param {HTMLInputElement} parts.say
   * @param {HTMLElement} parts.sayWords    Suggestions for it.
   * @param {HTMLInputElement} parts.lose
   * @param {HTMLElement} parts.loseWords
   */
  constructor(parts) {
    this.#parts = parts;
  }

  /**
   * @param {Caption} caption
   * @param {Model | null} model
   * @returns {string}  What the model cannot do, if anything.
   */
  offer(caption, model) {
    const { say, sayWords, lose, loseWords } = this.#parts;
    const known = ownWords(caption);
    const others = caption.words.flatMap(({ alternatives }) => alternatives.map(({ text }) => text));
    say.value = lose.value = '';
    loseWords.replaceChildren(...known.map(newSuggestion));
    sayWords.replaceChildren(
      ...[...new Set(others)].filter((word) => !known.includes(word)).map(newSuggestion),
    );
    return model?.hardened === false ? NO_HARDENED : '';
  }

  get params() {
    const { norms, say, lose } = this.#parts;
    return {
      norm: norms.querySelector('input:checked')?.getAttribute('value') ?? 'linf',
      ...worded('say', say.value),
      ...worded('lose', lose.value),
    };
  }
}

/** @param {string} name @param {string} value */
function worded(name, value) {
  const word = value.trim().toLowerCase();
  return word === '' ? {} : { [name]: word };
}

/** @param {string} word */
function newSuggestion(word) {
  return new Option(word, word);
}
