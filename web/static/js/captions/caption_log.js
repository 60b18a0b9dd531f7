// @ts-check
/** The log of recent captions: newest first, equal neighbours in one row, limited in length. */

import { captionText } from './caption.js';
import { captionNodes } from './caption_text.js';
import { createElement, englishText } from '../common/dom.js';
import { timeElement, timeRange } from '../common/format.js';
import { gettextNodes, ngettext } from '../common/i18n.js';

/** @typedef {import('./caption.js').Caption} Caption */
/**
 * @typedef {object} Row
 * @property {string} text
 * @property {Date} first
 * @property {number} count
 * @property {HTMLElement} item
 * @property {HTMLElement} times
 * @property {HTMLElement} repeats
 */

const MAX_ROWS = 200;

export class CaptionLog {
  #list;
  #onCount;
  /** Newest first. @type {Row[]} */
  #rows = [];

  /**
   * @param {HTMLElement} list
   * @param {(rows: number) => void} onCount  Called when the number of rows has changed.
   */
  constructor(list, onCount) {
    this.#list = list;
    this.#onCount = onCount;
  }

  /**
   * @param {Caption} caption
   * @param {Date} time  When its frame was captured.
   */
  add(caption, time) {
    const newest = this.#rows[0];
    if (newest?.text === captionText(caption)) {
      newest.times.replaceChildren(...timeRange(newest.first, time));
      if (caption.kept) return;
      newest.count += 1;
      newest.repeats.textContent = ngettext('{count} time', '{count} times', newest.count);
      return;
    }
    const row = createRow(caption, time);
    this.#rows.unshift(row);
    this.#list.prepend(row.item);
    for (const oldest of this.#rows.splice(MAX_ROWS)) oldest.item.remove();
    this.#onCount(this.#rows.length);
  }

  clear() {
    this.#rows = [];
    this.#list.replaceChildren();
    this.#onCount(0);
  }
}

/**
 * @param {Caption} caption
 * @param {Date} time
 * @returns {Row}
 */
function createRow(caption, time) {
  const text = captionText(caption);
  const times = createElement('div', 'times', timeElement(time));
  const nodes = captionNodes(caption);
  const words = createElement(
    'div',
    'words',
    ...(caption.guess === '' ? nodes : [withGuess(nodes, caption.guess)]),
  );
  const repeats = createElement('div', 'repeats');
  const item = createElement('li', '', times, ' ', words, ' ', repeats);
  return { text, first: time, count: 1, item, times, repeats };
}

/**
 * Returns a disclosure with the full caption below its likely part.
 *
 * @param {(Node | string)[]} likely
 * @param {string} guess
 */
function withGuess(likely, guess) {
  return createElement(
    'details',
    '',
    createElement('summary', '', ...likely),
    createElement(
      'p',
      '',
      ...gettextNodes('Best guess: “{caption}”', { caption: englishText(guess) }),
    ),
  );
}
