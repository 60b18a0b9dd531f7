// @ts-check
/** The captions so far: newest first, equal neighbours folded into one row, bounded. */

import { said } from './doubt.js';

/** @typedef {import('./protocol.js').Caption} Caption */

const MOST_ROWS = 200;
const CLOCK = new Intl.DateTimeFormat(undefined, { timeStyle: 'medium' });

/**
 * @typedef {object} Row
 * @property {string} text
 * @property {Date} first
 * @property {number} count
 * @property {HTMLElement} item
 * @property {HTMLElement} times
 * @property {HTMLElement} repeats
 */

export class EarlierView {
  #list;
  #onCount;
  /** Newest first. @type {Row[]} */
  #rows = [];

  /**
   * @param {HTMLElement} list
   * @param {(rows: number) => void} onCount  Told whenever the number of rows has changed.
   */
  constructor(list, onCount) {
    this.#list = list;
    this.#onCount = onCount;
  }

  /**
   * @param {Caption} caption
   * @param {Date} time  When the picture was taken.
   */
  add(caption, time) {
    const newest = this.#rows[0];
    if (newest?.text === said(caption)) {
      newest.times.replaceChildren(...timeRange(newest.first, time));
      if (caption.kept) return;
      newest.count += 1;
      newest.repeats.textContent = `${newest.count} times`;
      return;
    }
    const row = newRow(caption, time);
    this.#rows.unshift(row);
    this.#list.prepend(row.item);
    for (const oldest of this.#rows.splice(MOST_ROWS)) oldest.item.remove();
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
function newRow(caption, time) {
  const text = said(caption);
  const item = document.createElement('li');
  const [times, words, repeats] = ['times', 'words', 'repeats'].map((name) => {
    const part = document.createElement('div');
    part.className = name;
    return part;
  });
  times.append(timeElement(time));
  words.append(caption.guess === '' ? text : withGuess(text, caption.guess));
  item.append(times, ' ', words, ' ', repeats);
  return { text, first: time, count: 1, item, times, repeats };
}

/**
 * @param {string} text
 * @param {string} guess  The whole caption, shown on demand.
 */
function withGuess(text, guess) {
  const [details, summary, line] = ['details', 'summary', 'p'].map((tag) =>
    document.createElement(tag),
  );
  summary.textContent = text;
  line.textContent = `It may be “${guess}”`;
  details.append(summary, line);
  return details;
}

/**
 * @param {Date} first
 * @param {Date} last
 */
function timeRange(first, last) {
  const [from, to] = [timeElement(first), timeElement(last)];
  return from.textContent === to.textContent ? [from] : [from, ' – ', to];
}

/** @param {Date} time */
function timeElement(time) {
  const element = document.createElement('time');
  element.dateTime = time.toISOString();
  element.textContent = CLOCK.format(time);
  return element;
}
