// @ts-check
/** The wall: all feeds side by side. A limited number of tiles in view plays video. */

import { loggedOutNodes, showAccount } from '../common/account.js';
import { Announcer } from '../captions/announcer.js';
import { getElement } from '../common/dom.js';
import { addFullScreenToggle } from '../common/full_screen.js';
import { gettext } from '../common/i18n.js';
import { RuleNotifications } from '../common/rule_notifications.js';
import { signalText } from '../common/signal.js';
import { isWebRtcSupported } from '../session/peer_connection.js';
import { FeedStore } from './feed_store.js';
import { WallLayout } from './wall_layout.js';
import { WallTile } from './wall_tile.js';

/** @typedef {import('./feed.js').Feed} Feed */

const TICK_MS = 1_000;
/** Each video takes a decoder in the browser and a viewer's place on the server. */
const MAX_VIDEOS = 6;
/** In full screen, the pointer and the button are hidden once the pointer rests this long. */
const IDLE_MS = 3_000;
/** Tiles that are scrolled past do not start playing. */
const SETTLE_MS = 300;

/** Plays the first tiles in view, and none while the page is hidden. */
class PlaybackLimiter {
  /** @type {Map<Element, WallTile>} */
  #tiles = new Map();
  #observer = new IntersectionObserver((entries) => this.#onIntersect(entries), {
    threshold: 0.25,
  });
  #isPageHidden = false;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #settling;

  constructor() {
    document.addEventListener('visibilitychange', () => this.#settle());
    addEventListener('pagehide', () => {
      this.#isPageHidden = true;
      this.#update();
    });
    addEventListener('pageshow', () => {
      this.#isPageHidden = false;
      this.#settle();
    });
    addEventListener('online', () => {
      for (const tile of this.#tiles.values()) tile.retryNow();
    });
  }

  /** @param {WallTile} tile */
  add(tile) {
    this.#tiles.set(tile.item, tile);
    this.#observer.observe(tile.item);
  }

  /** @param {WallTile} tile */
  remove(tile) {
    tile.stop();
    this.#observer.unobserve(tile.item);
    this.#tiles.delete(tile.item);
    this.#settle();
  }

  /** @param {IntersectionObserverEntry[]} entries */
  #onIntersect(entries) {
    for (const { target, isIntersecting } of entries) {
      const tile = this.#tiles.get(target);
      if (tile) tile.isInView = isIntersecting;
    }
    this.#settle();
  }

  #settle() {
    clearTimeout(this.#settling);
    this.#settling = setTimeout(() => this.#update(), SETTLE_MS);
  }

  #update() {
    const isHidden = this.#isPageHidden || document.hidden;
    const inView = [...this.#tiles.values()].filter(({ isInView }) => isInView && !isHidden);
    const playing = new Set(inView.slice(0, MAX_VIDEOS));
    for (const tile of this.#tiles.values()) {
      if (!playing.has(tile)) tile.stop();
    }
    for (const tile of playing) tile.play();
  }
}

const wall = getElement('wall');
const announceSelect = getElement('announce', HTMLSelectElement);
const signalAnnouncement = getElement('news');
const announcer = new Announcer(getElement('announcement'));
const playback = new PlaybackLimiter();
const layout = new WallLayout(wall, getElement('about-wall'));
/** @type {Map<string, WallTile>} */
const tiles = new Map();
let announcedSignal = '';

/** @param {Feed[]} feeds */
function showFeeds(feeds) {
  const names = new Set(feeds.map(({ name }) => name));
  for (const [name, tile] of tiles) {
    if (names.has(name)) continue;
    playback.remove(tile);
    tile.item.remove();
    tiles.delete(name);
  }
  for (const feed of feeds) {
    if (!tiles.has(feed.name)) addTile(feed);
    tiles.get(feed.name)?.show(feed);
    if (feed.name === announceSelect.value) announceSignal(feed);
  }
  updateAnnounceOptions(feeds);
  getElement('trouble').textContent = '';
  getElement('no-feeds').hidden = feeds.length > 0;
  getElement('announce-field').hidden = feeds.length === 0;
  const notes = [];
  if (feeds.length > MAX_VIDEOS) {
    notes.push(
      gettext('At most {count} feeds in view play at once. The others show their newest frame.', {
        count: MAX_VIDEOS,
      }),
    );
  }
  if (store.arePicturesStored) {
    notes.push(gettext('Small pictures of the feeds are stored with their captions.'));
  }
  getElement('about-wall').textContent = notes.join(' ');
  layout.update();
}

/** @param {Feed} feed */
function addTile(feed) {
  const tile = new WallTile(feed);
  tiles.set(feed.name, tile);
  wall.append(tile.item);
  if (isWebRtcSupported()) playback.add(tile);
}

/** @param {Feed} feed */
function showCaption(feed) {
  tiles.get(feed.name)?.show(feed);
  if (feed.caption && feed.name === announceSelect.value) announcer.add(feed.caption);
}

/** @param {Feed[]} feeds */
function updateAnnounceOptions(feeds) {
  const selected = announceSelect.value;
  const options = [...announceSelect.options].slice(1).map(({ value, text }) => `${value} ${text}`);
  if (options.join() === feeds.map(({ name, title }) => `${name} ${title}`).join()) return;
  announceSelect.replaceChildren(
    new Option(gettext('None'), ''),
    ...feeds.map(({ name, title }) => new Option(title, name)),
  );
  announceSelect.value = feeds.some(({ name }) => name === selected) ? selected : '';
}

/** Announces a change of the signal, but not a first one that is live. @param {Feed} feed */
function announceSignal({ title, signal }) {
  const text = gettext('{feed}: {signal}', { feed: title, signal: signalText(signal) });
  if (text === announcedSignal) return;
  if (signal.state !== 'live' || announcedSignal !== '') signalAnnouncement.textContent = text;
  announcedSignal = text;
}

function showLoggedOut() {
  getElement('trouble').replaceChildren(...loggedOutNodes());
}

const store = new FeedStore({
  onFeeds: showFeeds,
  onCaption: showCaption,
  onLoggedOut: showLoggedOut,
});
announceSelect.addEventListener('change', () => {
  announcer.reset();
  signalAnnouncement.textContent = announcedSignal = '';
  const feed = store.find(announceSelect.value);
  if (!feed) return;
  announceSignal(feed);
  showCaption(feed);
});
setInterval(() => {
  if (!document.hidden) for (const tile of tiles.values()) tile.tick();
}, TICK_MS);
if (window !== window.top) {
  // The page that embeds the wall may not embed what the wall links to.
  const base = document.createElement('base');
  base.target = '_blank';
  document.head.append(base);
}
/** @type {ReturnType<typeof setTimeout> | undefined} */
let idling;
for (const type of ['pointermove', 'pointerdown', 'fullscreenchange']) {
  document.addEventListener(type, () => {
    const root = document.documentElement;
    delete root.dataset.idle;
    clearTimeout(idling);
    idling = setTimeout(() => (root.dataset.idle = ''), IDLE_MS);
  });
}
addFullScreenToggle(getElement('fullscreen'), document.documentElement);
showAccount(getElement('account'));
store.start();
new RuleNotifications().start();
