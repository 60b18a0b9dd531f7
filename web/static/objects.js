// @ts-check
/** The objects that are surely in the picture, beside its caption. */

import { percent } from './certainty.js';

/** @typedef {import('./protocol.js').Tag} Tag */

/** @param {Tag[]} tags  For the ear, such as "dog 92 percent, ball 81 percent". */
export function objectsText(tags) {
  const told = tags.map(({ text, prob }) => `${text} ${percent(prob).replace('%', ' percent')}`);
  return told.join(', ');
}

export class ObjectsView {
  #row;
  #list;
  /** In the order of the list. @type {Map<string, HTMLElement>} */
  #items = new Map();

  /**
   * @param {object} parts
   * @param {HTMLElement} parts.row
   * @param {HTMLElement} parts.list
   */
  constructor({ row, list }) {
    this.#row = row;
    this.#list = list;
  }

  /** @param {Tag[]} tags  Those that were there before keep their places. */
  show(tags) {
    const names = new Set(tags.map(({ text }) => text));
    for (const [name, item] of this.#items) {
      if (names.has(name)) continue;
      item.remove();
      this.#items.delete(name);
    }
    for (const { text, prob } of tags) {
      const share = this.#itemOf(text).lastElementChild;
      if (share) share.textContent = percent(prob);
    }
    this.#row.hidden = tags.length === 0;
  }

  /** @param {string} name */
  #itemOf(name) {
    const known = this.#items.get(name);
    if (known) return known;
    const [item, share] = ['li', 'span'].map((tag) => document.createElement(tag));
    item.append(name, ' ', share);
    this.#list.append(item);
    this.#items.set(name, item);
    return item;
  }
}
