// @ts-check
/** The search results: captions by day, the newest first, with their times and feeds. */

import { contentWords } from '../captions/content_words.js';
import { createElement } from '../common/dom.js';
import { timeRange } from '../common/format.js';
import { gettext, gettextNodes, LOCALE } from '../common/i18n.js';
import { feedUrl } from '../common/routes.js';
import { queryUrl } from './history_api.js';
import { pictureButton } from './picture_button.js';
import { around } from './time_ranges.js';

/** @typedef {import('./history_api.js').Span} Span */
/** @typedef {import('./history_api.js').Match} Match */
/** @typedef {{stems: Set<string>, beginnings: string[]}} Sought  The words that were searched for. */

const DAY = new Intl.DateTimeFormat(LOCALE, { dateStyle: 'full' });

export class SearchResults {
  #container;
  #onPicture;
  #day = '';
  /** @type {HTMLElement | null} */
  #list = null;
  /** Of the last result. @type {Match} */
  #match = 'exact';

  /**
   * @param {HTMLElement} container
   * @param {(span: Span, title: string) => void} onPicture  A picture was selected.
   */
  constructor(container, onPicture) {
    this.#container = container;
    this.#onPicture = onPicture;
  }

  clear() {
    this.#container.replaceChildren();
    this.#container.classList.remove('has-pictures');
    this.#day = '';
    this.#list = null;
    this.#match = 'exact';
  }

  /** Whether results were found by other words than those that were searched for. */
  get hasInexact() {
    return this.#match !== 'exact';
  }

  /**
   * @param {Span[]} spans  Older than those that are shown already, or of a looser match.
   * @param {string} words  The words that were searched for.
   * @param {string[]} synonyms  Further words that were looked for.
   * @param {Map<string, string>} titles  Of the feeds that there are now, by name.
   */
  add(spans, words, synonyms, titles) {
    const stems = contentWords([words, ...synonyms].join(' '));
    const sought = { stems, beginnings: beginningsIn(words) };
    if (spans.some(({ picture }) => picture !== '')) {
      this.#container.classList.add('has-pictures');
    }
    for (const span of spans) {
      const title = titles.get(span.feed);
      this.#startGroup(span.match);
      this.#listOf(DAY.format(span.from)).append(
        createElement(
          'li',
          '',
          ...this.#picture(span, title ?? span.feed),
          momentLink(span),
          ' ',
          wordsElement(span, sought),
          ' ',
          feedElement(span.feed, title),
        ),
      );
    }
  }

  /** Starts a group of results that fit in another way. @param {Match} match */
  #startGroup(match) {
    if (match === this.#match) return;
    this.#match = match;
    this.#day = '';
    const heading = match === 'partial' ? gettext('Most of the words') : gettext('Similar words');
    this.#container.append(createElement('h3', 'match-heading', heading));
  }

  /**
   * @param {Span} span
   * @param {string} title  Of its feed.
   */
  #picture(span, title) {
    if (span.picture === '') return [];
    const { picture, text } = span;
    return [pictureButton(picture, text, () => this.#onPicture(span, title))];
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

/** @param {Match} match @returns {(HTMLElement | string)[]}  None for an exact one. */
function matchLabel(match) {
  if (match === 'exact') return [];
  const label = match === 'partial' ? gettext('partly') : gettext('similar');
  return [' ', createElement('span', 'match-label', label)];
}

/** Links to what the feed showed around that time. @param {Span} span */
function momentLink({ feed, from, to }) {
  const link = createElement('a', 'times', ...timeRange(from, to));
  link.href = queryUrl({ words: '', feed, ...around(from, to), match: '' });
  link.title = gettext('Show the minutes around it');
  return link;
}

/**
 * Links to a feed, unless it is gone.
 *
 * @param {string} name
 * @param {string | undefined} title
 */
function feedElement(name, title) {
  if (title === undefined) return createElement('span', 'result-feed', name);
  const link = createElement('a', 'result-feed', title);
  link.href = feedUrl(name);
  return link;
}

/** @param {string} words @returns {string[]}  Of `word*`, in lower case. */
function beginningsIn(words) {
  return [...words.matchAll(/([\p{L}\p{N}]+)\*/gu)].map(([, word]) => (word ?? '').toLowerCase());
}

/**
 * @param {Span} span
 * @param {Sought} sought
 */
function wordsElement({ text, guess, match }, sought) {
  const words = createElement('span', 'words', englishElement(highlighted(text, sought)));
  if (guess !== '') {
    const caption = englishElement(highlighted(guess, sought));
    const nodes = gettextNodes('(best guess: “{caption}”)', { caption });
    words.append(' ', createElement('span', 'result-guess', ...nodes));
  }
  words.append(...matchLabel(match));
  return words;
}

/** @param {(string | HTMLElement)[]} nodes */
function englishElement(nodes) {
  const element = createElement('span', '', ...nodes);
  element.lang = 'en';
  return element;
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
