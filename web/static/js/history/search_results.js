// @ts-check
/** The search results: captions by day, the newest first, with their times and feeds. */

import { contentWords } from '../captions/content_words.js';
import { createElement } from '../common/dom.js';
import { timeRange } from '../common/format.js';

/** @typedef {import('./history_api.js').Span} Span */

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
    const stems = contentWords(words);
    for (const span of spans) {
      this.#listOf(DAY.format(span.from)).append(
        createElement(
          'li',
          '',
          createElement('span', 'times', ...timeRange(span.from, span.to)),
          ' ',
          wordsElement(span, stems),
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

/**
 * @param {Span} span
 * @param {Set<string>} stems
 */
function wordsElement({ text, guess }, stems) {
  const words = createElement('span', 'words', ...highlighted(text, stems));
  words.lang = 'en';
  if (guess !== '') {
    const parts = highlighted(`(best guess: “${guess}”)`, stems);
    words.append(' ', createElement('span', 'result-guess', ...parts));
  }
  return words;
}

/**
 * @param {string} text
 * @param {Set<string>} stems
 * @returns {(string | HTMLElement)[]}  The text with words of these stems highlighted.
 */
function highlighted(text, stems) {
  return text.split(/([\p{L}\p{N}]+)/u).map((part, index) => {
    const isMatch = index % 2 === 1 && [...contentWords(part)].some((stem) => stems.has(stem));
    return isMatch ? createElement('mark', '', part) : part;
  });
}
