// @ts-check
/** The wall: all feeds at once, each with its video, its caption and how old that is. */

import { loginLink, showAccount } from './account.js';
import { Announcer } from './announcer.js';
import { canConnect } from './connection.js';
import { element } from './element.js';
import { Feeds } from './feeds.js';
import { signalText } from './signal.js';
import { WallTile } from './wall_tile.js';
import { MOST_VIDEOS, WallVideos } from './wall_videos.js';

/** @typedef {import('./feed.js').WatchableFeed} WatchableFeed */

const TICK_MS = 1_000;

const wall = element('wall');
const announce = element('announce', HTMLSelectElement);
const news = element('news');
const announcer = new Announcer(element('announcement'), { say() {} });
const videos = new WallVideos();
/** @type {Map<string, WallTile>} */
const tiles = new Map();
/** The signal that was told of the feed that is announced. */
let toldSignal = '';

/** @param {WatchableFeed[]} feeds */
function showFeeds(feeds) {
  const names = new Set(feeds.map(({ name }) => name));
  for (const [name, tile] of tiles) {
    if (names.has(name)) continue;
    videos.remove(tile);
    tile.item.remove();
    tiles.delete(name);
  }
  for (const feed of feeds) {
    if (!tiles.has(feed.name)) addTile(feed);
    tiles.get(feed.name)?.show(feed);
    if (feed.name === announce.value) announceSignal(feed);
  }
  offerAnnouncing(feeds);
  element('trouble').textContent = '';
  element('no-feeds').hidden = feeds.length > 0;
  element('announce-field').hidden = feeds.length === 0;
  element('about-wall').textContent =
    feeds.length > MOST_VIDEOS
      ? `Of those in view ${MOST_VIDEOS} play at once; the others show their newest picture.`
      : '';
}

/** @param {WatchableFeed} feed */
function addTile(feed) {
  const tile = new WallTile(feed);
  tiles.set(feed.name, tile);
  wall.append(tile.item);
  if (canConnect()) videos.add(tile);
}

/** @param {WatchableFeed} feed */
function showCaption(feed) {
  tiles.get(feed.name)?.show(feed);
  if (feed.caption && feed.name === announce.value) announcer.hear(feed.caption);
}

/** @param {WatchableFeed[]} feeds */
function offerAnnouncing(feeds) {
  const wanted = announce.value;
  const offered = [...announce.options].slice(1).map(({ value, text }) => `${value} ${text}`);
  if (offered.join() === feeds.map(({ name, title }) => `${name} ${title}`).join()) return;
  announce.replaceChildren(
    new Option('None', ''),
    ...feeds.map(({ name, title }) => new Option(title, name)),
  );
  announce.value = feeds.some(({ name }) => name === wanted) ? wanted : '';
}

/** @param {WatchableFeed} feed  The one that is announced. */
function announceSignal({ title, signal }) {
  const text = `${title}: ${signalText(signal)}`;
  if (text === toldSignal) return;
  // That it has a signal goes without saying as long as there was no word of the contrary.
  if (signal.state !== 'live' || toldSignal !== '') news.textContent = text;
  toldSignal = text;
}

function logOut() {
  element('trouble').replaceChildren('You are logged out. ', loginLink('Log in'));
}

const feeds = new Feeds({ onFeeds: showFeeds, onCaption: showCaption, onLoggedOut: logOut });
announce.addEventListener('change', () => {
  announcer.reset();
  news.textContent = toldSignal = '';
  const feed = feeds.find(announce.value);
  if (!feed) return;
  announceSignal(feed);
  showCaption(feed);
});
setInterval(() => {
  if (!document.hidden) for (const tile of tiles.values()) tile.tick();
}, TICK_MS);
showAccount(element('account'));
feeds.start();
