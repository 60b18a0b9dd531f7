// @ts-check
/** What was found in the history: the newest first, by days, with when and how long. */

import { make } from './element.js';
import { contentWords } from './meaning.js';

/** @typedef {import('./past_message.js').Span} Span */

const DAY = new Intl.DateTimeFormat(undefined, { dateStyle: 'full' });
const CLOCK = new Intl.DateTimeFormat(undefined, { timeStyle: 'medium' });

export class PastResults {
  #place;
  #day = '';
  /** @type {HTMLElement | null} */
  #list = null;

  /** @param {HTMLElement} place */
  constructor(place) {
    this.#place = place;
  }

  clear() {
    this.#place.replaceChildren();
    this.#day = '';
    this.#list = null;
  }

  /**
   * @param {Span[]} spans  Older than those that are shown.
   * @param {string} words  That were looked for.
   * @param {(feed: string) => string} titleOf
   */
  add(spans, words, titleOf) {
    const sought = contentWords(words);
    for (const span of spans) {
      this.#listOf(DAY.format(span.from)).append(
        make(
          'li',
          '',
          make('span', 'times', ...timeRange(span)),
          ' ',
          wordsOf(span, sought),
          ' ',
          make('span', 'feed-of-span', titleOf(span.feed)),
        ),
      );
    }
  }

  /** @param {string} day */
  #listOf(day) {
    if (this.#list === null || day !== this.#day) {
      this.#day = day;
      this.#list = make('ol', '');
      this.#place.append(make('h3', '', day), this.#list);
    }
    return this.#list;
  }
}

/**
 * @param {Span} span
 * @param {Set<string>} sought  Stems.
 */
function wordsOf({ said, guess }, sought) {
  const words = make('span', 'words', ...marked(said, sought));
  words.lang = 'en';
  if (guess !== '') words.append(' ', make('span', 'guess-of-span', ...marked(`(it may be “${guess}”)`, sought)));
  return words;
}

/**
 * @param {string} text
 * @param {Set<string>} sought
 * @returns {(string | HTMLElement)[]}  Words that were looked for stand out.
 */
function marked(text, sought) {
  return text.split(/([\p{L}\p{N}]+)/u).map((part, index) => {
    const isSought = index % 2 === 1 && [...contentWords(part)].some((stem) => sought.has(stem));
    return isSought ? make('mark', '', part) : part;
  });
}

/** @param {Span} span */
function timeRange({ from, to }) {
  const [first, last] = [timeElement(from), timeElement(to)];
  return first.textContent === last.textContent ? [first] : [first, ' – ', last];
}

/** @param {Date} time */
function timeElement(time) {
  const element = make('time', '', CLOCK.format(time));
  element.dateTime = time.toISOString();
  return element;
}
