// @ts-check
/** The objects that are surely in the picture, beside its caption; one of them may be chosen. */

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
  #onChosen;
  /** In the order of the list. @type {Map<string, HTMLElement>} */
  #items = new Map();
  /** @type {string | null} */
  #chosen = null;

  /**
   * @param {object} parts
   * @param {HTMLElement} parts.row
   * @param {HTMLElement} parts.list
   * @param {(name: string | null) => void} onChosen  Also told when what was chosen has gone.
   */
  constructor({ row, list }, onChosen) {
    this.#row = row;
    this.#list = list;
    this.#onChosen = onChosen;
    row.addEventListener('keydown', ({ key }) => {
      if (key === 'Escape') this.#choose(null);
    });
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
      const share = this.#itemOf(text).querySelector('span');
      if (share) share.textContent = percent(prob);
    }
    this.#row.hidden = tags.length === 0;
    if (this.#chosen !== null && !names.has(this.#chosen)) this.#choose(null);
  }

  /** @param {string | null} name */
  #choose(name) {
    this.#chosen = name;
    for (const [known, item] of this.#items) {
      item.firstElementChild?.setAttribute('aria-pressed', String(known === name));
    }
    this.#onChosen(name);
  }

  /** @param {string} name */
  #itemOf(name) {
    const known = this.#items.get(name);
    if (known) return known;
    const [item, button, share] = ['li', 'button', 'span'].map((tag) =>
      document.createElement(tag),
    );
    button.setAttribute('type', 'button');
    button.setAttribute('aria-pressed', 'false');
    button.append(name, ' ', share);
    button.addEventListener('click', () => this.#choose(this.#chosen === name ? null : name));
    item.append(button);
    this.#list.append(item);
    this.#items.set(name, item);
    return item;
  }
}
