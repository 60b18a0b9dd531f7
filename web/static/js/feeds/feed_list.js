// @ts-check
/** The list of feeds on the live page: links with each feed's signal, viewers and last caption. */

import { captionNodes } from '../captions/caption_text.js';
import { createElement, setNodes, setText } from '../common/dom.js';
import { roughAgeText } from '../common/format.js';
import { gettextNodes } from '../common/i18n.js';
import { feedUrl } from '../common/routes.js';
import { signalText } from '../common/signal.js';
import { rulesText, viewersText } from './feed.js';

/** @typedef {import('./feed.js').Feed} Feed */
/**
 * @typedef {object} Row
 * @property {Feed} feed
 * @property {HTMLElement} item
 * @property {HTMLAnchorElement} link
 * @property {HTMLElement} signal
 * @property {HTMLElement} words
 * @property {HTMLElement} age
 * @property {HTMLElement} viewers
 * @property {HTMLElement} rules
 */

const TICK_MS = 1_000;

export class FeedList {
  #elements;
  #onOpen;
  /** @type {Map<string, Row>} */
  #rows = new Map();
  #current = '';

  /**
   * @param {object} elements
   * @param {HTMLElement} elements.section  Hidden while there are no feeds.
   * @param {HTMLElement} elements.list
   * @param {(feed: Feed) => void} onOpen
   */
  constructor(elements, onOpen) {
    this.#elements = elements;
    this.#onOpen = onOpen;
    setInterval(() => this.#tick(), TICK_MS);
  }

  /** @param {Feed[]} feeds */
  show(feeds) {
    const names = new Set(feeds.map(({ name }) => name));
    for (const [name, { item }] of this.#rows) {
      if (names.has(name)) continue;
      item.remove();
      this.#rows.delete(name);
    }
    for (const feed of feeds) this.update(feed);
    this.#elements.section.hidden = feeds.length === 0;
  }

  /** @param {Feed} feed */
  update(feed) {
    const row = this.#rows.get(feed.name) ?? this.#addRow(feed);
    row.feed = feed;
    row.item.dataset.signal = feed.signal.state;
    setText(row.link, feed.title);
    setText(row.signal, signalText(feed.signal));
    setNodes(row.words, lastCaption(feed));
    setText(row.age, feed.capturedAt ? roughAgeText(feed.capturedAt) : '');
    setText(row.viewers, viewersText(feed.viewers));
    setText(row.rules, rulesText(feed.rules));
  }

  /** @param {string} name  Of the watched feed; empty for none. */
  set current(name) {
    this.#current = name;
    for (const [other, { link }] of this.#rows) markCurrent(link, other === name);
  }

  /** Focuses the link of a feed. @param {string} name */
  focus(name) {
    this.#rows.get(name)?.link.focus();
  }

  /** @param {Feed} feed */
  #addRow(feed) {
    // The link is named by the feed alone; it covers the row.
    const link = createElement('a', 'name');
    const signal = createElement('span', 'signal');
    const words = createElement('span', 'words');
    const age = createElement('span', 'age');
    const viewers = createElement('span', 'viewers');
    const rules = createElement('span', 'rule-names');
    const card = createElement(
      'div',
      'feed',
      link,
      createElement('span', 'feed-facts', rules, viewers, age),
      createElement('span', 'feed-line', signal, words),
    );
    const description = [signal, words, age, viewers, rules];
    for (const part of description) part.id = `feed-${feed.name}-${part.className}`;
    link.href = feedUrl(feed.name);
    link.setAttribute('aria-describedby', description.map(({ id }) => id).join(' '));
    const item = createElement('li', '', card);
    const row = { feed, item, link, signal, words, age, viewers, rules };
    link.addEventListener('click', (event) => {
      // Leave clicks that open a new tab or window to the browser.
      if (event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
      event.preventDefault();
      this.#onOpen(row.feed);
    });
    this.#rows.set(feed.name, row);
    this.#elements.list.append(item);
    markCurrent(link, feed.name === this.#current);
    return row;
  }

  #tick() {
    if (document.hidden) return;
    for (const { feed, age } of this.#rows.values()) {
      setText(age, feed.capturedAt ? roughAgeText(feed.capturedAt) : '');
    }
  }
}

/** @param {Feed} feed @returns {(Node | string)[]} */
function lastCaption({ caption, signal }) {
  if (caption === null) return [];
  const nodes = captionNodes(caption);
  if (signal.state === 'live') return nodes;
  return gettextNodes('Last: {caption}', { caption: createElement('span', '', ...nodes) });
}

/**
 * @param {HTMLAnchorElement} link
 * @param {boolean} isCurrent
 */
function markCurrent(link, isCurrent) {
  if (isCurrent) link.setAttribute('aria-current', 'page');
  else link.removeAttribute('aria-current');
}
