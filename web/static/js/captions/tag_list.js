// @ts-check
/** The tags of a caption, with their probabilities. One of them can be selected. */

import { createButton, createElement, englishText } from '../common/dom.js';
import { percent } from '../common/format.js';

/** @typedef {import('./caption.js').Tag} Tag */
/** @typedef {{element: HTMLElement, button: HTMLButtonElement, share: HTMLElement}} Item */

export class TagList {
  #row;
  #list;
  #onSelect;
  /** By name, in the order of the list. @type {Map<string, Item>} */
  #items = new Map();
  /** @type {string | null} */
  #selected = null;

  /**
   * @param {object} elements
   * @param {HTMLElement} elements.row
   * @param {HTMLElement} elements.list
   * @param {(name: string | null) => void} onSelect  Called with null when the selected tag is
   *   deselected or gone.
   */
  constructor({ row, list }, onSelect) {
    this.#row = row;
    this.#list = list;
    this.#onSelect = onSelect;
    row.addEventListener('keydown', ({ key }) => {
      if (key === 'Escape') this.#select(null);
    });
  }

  /** @param {Tag[]} tags  Those that are listed already keep their places. */
  show(tags) {
    const names = new Set(tags.map(({ text }) => text));
    for (const [name, { element }] of this.#items) {
      if (names.has(name)) continue;
      element.remove();
      this.#items.delete(name);
    }
    for (const { text, prob } of tags) this.#itemOf(text).share.textContent = percent(prob);
    this.#row.hidden = tags.length === 0;
    if (this.#selected !== null && !names.has(this.#selected)) this.#select(null);
  }

  /** @param {string | null} name */
  #select(name) {
    this.#selected = name;
    for (const [other, { button }] of this.#items) {
      button.setAttribute('aria-pressed', String(other === name));
    }
    this.#onSelect(name);
  }

  /** @param {string} name */
  #itemOf(name) {
    const known = this.#items.get(name);
    if (known) return known;
    const share = createElement('span', '');
    const button = createButton('', '');
    button.append(englishText(name), ' ', share);
    button.setAttribute('aria-pressed', 'false');
    button.addEventListener('click', () => this.#select(this.#selected === name ? null : name));
    const element = createElement('li', '', button);
    const item = { element, button, share };
    this.#list.append(element);
    this.#items.set(name, item);
    return item;
  }
}
