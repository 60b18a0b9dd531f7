// @ts-check
/** The search results: captions by day, the newest first, with their times and feeds. */

import { contentWords } from '../captions/content_words.js';
import { createElement } from '../common/dom.js';
import { timeRange } from '../common/format.js';

/** @typedef {import('./history_api.js').Span} Span */
/** @typedef {{stems: Set<string>, beginnings: string[]}} Sought  The words that were searched for. */

const DAY = new Intl.DateTimeFormat(undefined, { dateStyle: 'full' });

export class SearchResults {
  #container;
  #day = '';
  /** @type {HTMLElement | null} */
  #list = null;

  /** @param {HTMLElement} container */
  constructor(container) {
    this.#container = container;
  }

  clear() {
    this.#container.replaceChildren();
    this.#day = '';
    this.#list = null;
  }

  /**
   * @param {Span[]} spans  Older than those that are shown already.
   * @param {string} words  The words that were searched for.
   * @param {(feed: string) => string} titleOf
   */
  add(spans, words, titleOf) {
    const sought = { stems: contentWords(words), beginnings: beginningsIn(words) };
    for (const span of spans) {
      this.#listOf(DAY.format(span.from)).append(
        createElement(
          'li',
          '',
          createElement('span', 'times', ...timeRange(span.from, span.to)),
          ' ',
          wordsElement(span, sought),
          ' ',
          createElement('span', 'result-feed', titleOf(span.feed)),
        ),
      );
    }
  }

  /** @param {string} day */
  #listOf(day) {
    if (this.#list === null || day !== this.#day) {
      this.#day = day;
      this.#list = createElement('ol', '');
      this.#container.append(createElement('h3', '', day), this.#list);
    }
    return this.#list;
  }
}

/** @param {string} words @returns {string[]}  Of `word*`, in lower case. */
function beginningsIn(words) {
  return [...words.matchAll(/([\p{L}\p{N}]+)\*/gu)].map(([, word]) => (word ?? '').toLowerCase());
}

/**
 * @param {Span} span
 * @param {Sought} sought
 */
function wordsElement({ text, guess }, sought) {
  const words = createElement('span', 'words', ...highlighted(text, sought));
  words.lang = 'en';
  if (guess !== '') {
    const parts = highlighted(`(best guess: “${guess}”)`, sought);
    words.append(' ', createElement('span', 'result-guess', ...parts));
  }
  return words;
}

/**
 * @param {string} text
 * @param {Sought} sought
 * @returns {(string | HTMLElement)[]}  The text with the words that were searched for highlighted.
 */
function highlighted(text, { stems, beginnings }) {
  return text.split(/([\p{L}\p{N}]+)/u).map((part, index) => {
    const isMatch =
      index % 2 === 1 &&
      ([...contentWords(part)].some((stem) => stems.has(stem)) ||
        beginnings.some((beginning) => part.toLowerCase().startsWith(beginning)));
    return isMatch ? createElement('mark', '', part) : part;
  });
}
