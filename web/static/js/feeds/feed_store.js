// @ts-check
/** All feeds of the server, kept up to date by polling and server-sent events. */

import { readCaption } from '../captions/caption.js';
import { getJson, HttpError, retryDelay } from '../common/http.js';
import { asArray, asObject, asString, parseJson } from '../common/json.js';
import { readSignal } from '../common/signal.js';
import { captureTime, readFeed } from './feed.js';
import { showPictureNotice } from './picture_notice.js';

/** @typedef {import('../common/json.js').JsonObject} JsonObject */
/** @typedef {import('./feed.js').Feed} Feed */
/**
 * @typedef {object} FeedListener
 * @property {(feeds: Feed[]) => void} onFeeds    The feeds or their signals have changed.
 * @property {(feed: Feed) => void} onCaption     A feed has a new caption.
 * @property {() => void} [onLoggedOut]           The server requires a login.
 */

/** What the events do not include, such as the number of viewers, is polled. */
const POLL_MS = 10_000;

/** Runs while the page is visible: browsers allow few connections per server. */
export class FeedStore {
  #listener;
  /** @type {Map<string, Feed>} */
  #feeds = new Map();
  /** Rules that have fired and not ended, by feed. @type {Map<string, Set<string>>} */
  #rules = new Map();
  /** Whether the server stores captions in a history. */
  areStored = false;
  /** Whether it stores pictures of feeds. */
  arePicturesStored = false;
  /** @type {EventSource | null} */
  #events = null;
  #failures = 0;
  #isStarted = false;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;

  /** @param {FeedListener} listener */
  constructor(listener) {
    this.#listener = listener;
    document.addEventListener('visibilitychange', () => this.#resume());
    addEventListener('pagehide', () => this.#pause());
    addEventListener('pageshow', ({ persisted }) => persisted && this.#resume());
    addEventListener('online', () => this.#resume());
  }

  /** @param {string} name */
  find(name) {
    return this.#feeds.get(name);
  }

  start() {
    this.#isStarted = true;
    this.#resume();
  }

  /** Polls now and subscribes, or pauses if the page is hidden. */
  #resume() {
    if (!this.#isStarted || document.hidden) {
      this.#pause();
      return;
    }
    clearTimeout(this.#timer);
    this.#poll();
  }

  #pause() {
    clearTimeout(this.#timer);
    this.#events?.close();
    this.#events = null;
  }

  async #poll() {
    let delayMs = POLL_MS;
    try {
      const { feeds, history, pictures } = await getJson('api/feeds');
      this.#failures = 0;
      this.areStored = history === true;
      this.arePicturesStored = pictures === true;
      showPictureNotice(this.arePicturesStored);
      this.#setFeeds(asArray(feeds).flatMap(readFeed));
      if (!document.hidden) this.#subscribe();
    } catch (error) {
      if (!(error instanceof HttpError)) throw error;
      this.#pause();
      if (error.status === 401) {
        this.#listener.onLoggedOut?.();
        return;
      }
      this.#failures += 1;
      delayMs = 1000 * retryDelay(this.#failures, error.retryAfterS);
    }
    clearTimeout(this.#timer);
    if (!document.hidden) this.#timer = setTimeout(() => this.#poll(), delayMs);
  }

  #subscribe() {
    // After an HTTP error the browser closes an event source for good.
    if (this.#events && this.#events.readyState !== EventSource.CLOSED) return;
    const events = new EventSource('api/events');
    events.addEventListener('caption', ({ data }) => this.#onCaption(asObject(parseJson(data))));
    events.addEventListener('signal', ({ data }) => this.#onSignal(asObject(parseJson(data))));
    events.addEventListener('rule', ({ data }) => this.#onRule(asObject(parseJson(data))));
    // Each connection starts with the firings that last.
    events.addEventListener('open', () => this.#rules.clear());
    this.#events = events;
  }

  /** @param {Feed[]} feeds */
  #setFeeds(feeds) {
    this.#feeds = new Map(feeds.map((feed) => [feed.name, feed]));
    for (const feed of feeds) feed.rules = [...(this.#rules.get(feed.name) ?? [])].sort();
    this.#notify();
  }

  #notify() {
    this.#listener.onFeeds([...this.#feeds.values()]);
  }

  /** @param {JsonObject} event */
  #onCaption(event) {
    const feed = this.#feeds.get(asString(event.feed));
    const caption = readCaption(event);
    if (!feed || !caption) return;
    feed.caption = caption;
    feed.capturedAt = captureTime(caption);
    this.#listener.onCaption(feed);
  }

  /** @param {JsonObject} event */
  #onRule(event) {
    const name = asString(event.feed);
    const rules = this.#rules.get(name) ?? new Set();
    this.#rules.set(name, rules);
    if (event.state === 'on') rules.add(asString(event.rule));
    else rules.delete(asString(event.rule));
    const feed = this.#feeds.get(name);
    if (!feed) return;
    feed.rules = [...rules].sort();
    this.#notify();
  }

  /** @param {JsonObject} event  Without a signal when the feed was removed. */
  #onSignal(event) {
    const feed = this.#feeds.get(asString(event.feed));
    const signal = readSignal(event.signal);
    if (feed && signal) {
      feed.signal = signal;
      this.#notify();
    } else if (feed) {
      this.#feeds.delete(feed.name);
      this.#notify();
    } else if (signal) {
      this.#resume();
    }
  }
}
