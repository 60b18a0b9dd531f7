// @ts-check
/** All that can be watched, kept current while the page is seen. */

import { pauseAfter, requestedPause } from './backoff.js';
import { readCaption } from './caption_message.js';
import { readFeed, takenAt } from './feed.js';
import { list, object, text } from './json.js';
import { getJson, Refused } from './json_request.js';
import { readSignal } from './signal.js';

/** @typedef {import('./feed.js').WatchableFeed} WatchableFeed */
/** @typedef {import('./json.js').Json} Json */
/**
 * @typedef {object} FeedsListener
 * @property {(feeds: WatchableFeed[]) => void} onFeeds  What there is to watch, or its signals.
 * @property {(feed: WatchableFeed) => void} onCaption   It said something.
 * @property {() => void} [onLoggedOut]  Nothing is told any more before somebody logs in.
 */

/** What the events do not tell, such as how many watch, is looked up this often. */
const LOOK_MS = 10_000;

export class Feeds {
  #listener;
  /** @type {Map<string, WatchableFeed>} */
  #feeds = new Map();
  /** @type {EventSource | null} */
  #events = null;
  #failures = 0;
  #runs = false;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;

  /** @param {FeedsListener} listener */
  constructor(listener) {
    this.#listener = listener;
    document.addEventListener('visibilitychange', () => this.#follow());
    addEventListener('pagehide', () => this.#rest());
    addEventListener('pageshow', ({ persisted }) => persisted && this.#follow());
    addEventListener('online', () => this.#follow());
  }

  /** @returns {WatchableFeed[]} */
  get all() {
    return [...this.#feeds.values()];
  }

  /** @param {string} name */
  find(name) {
    return this.#feeds.get(name);
  }

  start() {
    this.#runs = true;
    this.#follow();
  }

  /** Listens where the page is seen: a browser has few connections, and others want them. */
  #follow() {
    if (!this.#runs || document.hidden) {
      this.#rest();
      return;
    }
    clearTimeout(this.#timer);
    this.#look();
  }

  #rest() {
    clearTimeout(this.#timer);
    this.#events?.close();
    this.#events = null;
  }

  async #look() {
    /** @type {number} */
    let pauseMs = LOOK_MS;
    try {
      const { feeds } = await getJson('/api/feeds');
      this.#failures = 0;
      this.#take(list(feeds).flatMap(readFeed));
      if (!document.hidden) this.#listen();
    } catch (problem) {
      if (!(problem instanceof Refused)) throw problem;
      this.#rest();
      if (problem.status === 401) {
        this.#listener.onLoggedOut?.();
        return;
      }
      this.#failures += 1;
      const { retryAfterS } = problem;
      const seconds =
        retryAfterS === undefined ? pauseAfter(this.#failures) : requestedPause(retryAfterS);
      pauseMs = seconds * 1000;
    }
    clearTimeout(this.#timer);
    if (!document.hidden) this.#timer = setTimeout(() => this.#look(), pauseMs);
  }

  #listen() {
    // One that the browser has given up is not opened again by itself, as after an HTTP error.
    if (this.#events && this.#events.readyState !== EventSource.CLOSED) return;
    const events = new EventSource('/api/events');
    events.addEventListener('caption', ({ data }) => this.#hearCaption(parsed(data)));
    events.addEventListener('signal', ({ data }) => this.#hearSignal(parsed(data)));
    this.#events = events;
  }

  /** @param {WatchableFeed[]} feeds */
  #take(feeds) {
    this.#feeds = new Map(feeds.map((feed) => [feed.name, feed]));
    this.#listener.onFeeds(this.all);
  }

  /** @param {Json} data */
  #hearCaption(data) {
    const feed = this.#feeds.get(text(data.feed));
    const caption = readCaption(data);
    if (!feed || !caption) return;
    feed.caption = caption;
    feed.taken = takenAt(caption);
    this.#listener.onCaption(feed);
  }

  /** @param {Json} data */
  #hearSignal(data) {
    const feed = this.#feeds.get(text(data.feed));
    const signal = readSignal(data.signal);
    if (feed && signal) {
      feed.signal = signal;
      this.#listener.onFeeds(this.all);
    } else if (feed) {
      this.#feeds.delete(feed.name);
      this.#listener.onFeeds(this.all);
    } else if (signal) {
      this.#follow();
    }
  }
}

/** @param {string} data @returns {Json} */
function parsed(data) {
  try {
    return object(JSON.parse(data));
  } catch {
    return {};
  }
}
