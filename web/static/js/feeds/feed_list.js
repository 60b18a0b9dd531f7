// @ts-check
/** The feeds as links: what each is called, whether it has a signal, and what it said last. */

import { roughAgeText } from './age.js';
import { said } from './doubt.js';
import { make } from './element.js';
import { viewersText } from './feed.js';
import { addressOf } from './route.js';
import { signalText } from './signal.js';

/** @typedef {import('./feed.js').WatchableFeed} WatchableFeed */
/**
 * @typedef {object} Row
 * @property {WatchableFeed} feed
 * @property {HTMLElement} item
 * @property {HTMLAnchorElement} link
 * @property {HTMLElement} name
 * @property {HTMLElement} signal
 * @property {HTMLElement} words
 * @property {HTMLElement} age
 * @property {HTMLElement} viewers
 */

const TICK_MS = 1_000;

export class FeedList {
  #parts;
  #onChosen;
  /** @type {Map<string, Row>} */
  #rows = new Map();
  #current = '';

  /**
   * @param {object} parts
   * @param {HTMLElement} parts.section  Hidden as long as there is nothing to watch.
   * @param {HTMLElement} parts.list
   * @param {(feed: WatchableFeed) => void} onChosen
   */
  constructor(parts, onChosen) {
    this.#parts = parts;
    this.#onChosen = onChosen;
    setInterval(() => this.#tick(), TICK_MS);
  }

  /** @param {WatchableFeed[]} feeds */
  show(feeds) {
    const names = new Set(feeds.map(({ name }) => name));
    for (const [name, { item }] of this.#rows) {
      if (names.has(name)) continue;
      item.remove();
      this.#rows.delete(name);
    }
    for (const feed of feeds) this.update(feed);
    this.#parts.section.hidden = feeds.length === 0;
  }

  /** @param {WatchableFeed} feed */
  update(feed) {
    const row = this.#rows.get(feed.name) ?? this.#add(feed);
    row.feed = feed;
    row.item.dataset.signal = feed.signal.state;
    setText(row.name, feed.title);
    setText(row.signal, signalText(feed.signal));
    setText(row.words, wordsOf(feed));
    setText(row.age, feed.taken ? roughAgeText(feed.taken) : '');
    setText(row.viewers, viewersText(feed.viewers));
  }

  /** @param {string} name  Of the one that is watched; empty for none. */
  set current(name) {
    this.#current = name;
    for (const [other, row] of this.#rows) mark(row, other === name);
  }

  /** @param {string} name  Of the one whose link is to have the focus. */
  focus(name) {
    this.#rows.get(name)?.link.focus();
  }

  /** @param {WatchableFeed} feed */
  #add(feed) {
    const parts = ['name', 'signal', 'words', 'age', 'viewers'].map((part) => make('span', part));
    const [name, signal, words, age, viewers] = parts;
    words.lang = 'en';
    parts.forEach((part, index) => (part.id = `feed-${feed.name}-${index}`));
    const link = make(
      'a',
      'feed',
      name,
      make('span', 'feed-facts', viewers, age),
      make('span', 'feed-line', signal, words),
    );
    const about = [signal, words, age, viewers];
    link.href = addressOf(feed.name);
    link.setAttribute('aria-labelledby', name.id);
    link.setAttribute('aria-describedby', about.map(({ id }) => id).join(' '));
    const item = make('li', '', link);
    const row = { feed, item, link, name, signal, words, age, viewers };
    link.addEventListener('click', (event) => {
      // Another tab or window may be asked for, which is the browser's business.
      if (event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
      event.preventDefault();
      this.#onChosen(row.feed);
    });
    this.#rows.set(feed.name, row);
    this.#parts.list.append(item);
    mark(row, feed.name === this.#current);
    return row;
  }

  #tick() {
    if (document.hidden) return;
    for (const { feed, age } of this.#rows.values()) {
      setText(age, feed.taken ? roughAgeText(feed.taken) : '');
    }
  }
}

/** @param {WatchableFeed} feed */
function wordsOf({ caption, signal }) {
  if (caption === null) return '';
  return signal.state === 'live' ? said(caption) : `Last: ${said(caption)}`;
}

/**
 * @param {Row} row
 * @param {boolean} isCurrent
 */
function mark({ link }, isCurrent) {
  if (isCurrent) link.setAttribute('aria-current', 'page');
  else link.removeAttribute('aria-current');
}

/**
 * @param {HTMLElement} element
 * @param {string} text
 */
function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}
