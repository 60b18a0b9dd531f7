// @ts-check
/** One feed on the wall: its video or its newest picture, its name, its caption, its age. */

import { roughAgeText, staleAfter } from './age.js';
import { said } from './doubt.js';
import { make } from './element.js';
import { viewersText } from './feed.js';
import { WatchedFeed } from './inputs.js';
import { addressOf } from './route.js';
import { Session } from './session.js';
import { signalText } from './signal.js';

/** @typedef {import('./feed.js').WatchableFeed} WatchableFeed */

/** A picture is fetched this often at most. */
const PICTURE_MS = 2_000;

export class WallTile {
  #feed;
  #video = make('video', '');
  #picture = make('img', '');
  #title = make('a', '');
  #words = make('p', 'words');
  #facts = make('p', 'facts');
  /** @type {Session | null} */
  #session = null;
  #isSeen = false;
  #picturedSeq = -1;
  #picturedAt = -Infinity;
  item;

  /** @param {WatchableFeed} feed */
  constructor(feed) {
    this.#feed = feed;
    this.#prepareMedia();
    this.#title.href = addressOf(feed.name);
    this.#words.lang = 'en';
    const heading = make('h2', '', this.#title);
    heading.id = `tile-${feed.name}`;
    const stage = make('div', 'wall-stage', this.#picture, this.#video);
    const article = make('article', 'wall-tile', stage, heading, this.#words, this.#facts);
    article.setAttribute('aria-labelledby', heading.id);
    this.item = make('li', '', article);
  }

  get name() {
    return this.#feed.name;
  }

  /** @param {WatchableFeed} feed */
  show(feed) {
    this.#feed = feed;
    this.item.dataset.signal = feed.signal.state;
    setText(this.#title, feed.title);
    setText(this.#words, feed.caption ? said(feed.caption) : 'No caption yet.');
    this.item.toggleAttribute('data-silent', feed.caption === null);
    this.tick();
    this.#showPicture();
  }

  /** Tells how old the caption is by now. */
  tick() {
    const { taken, intervalS, viewers, signal } = this.#feed;
    const age = taken ? roughAgeText(taken) : '';
    const isStale = taken !== null && Date.now() - taken.getTime() > 1000 * staleAfter(intervalS);
    this.item.dataset.age = isStale ? 'stale' : 'fresh';
    setText(
      this.#facts,
      [signalText(signal), isStale ? `${age}, out of date` : age, viewersText(viewers)]
        .filter((fact) => fact !== '')
        .join(' · '),
    );
  }

  /** @param {boolean} seen  Whether it is in view. */
  set isSeen(seen) {
    this.#isSeen = seen;
    this.#showPicture();
  }

  get isSeen() {
    return this.#isSeen;
  }

  /** Shows the video, until it is stopped. */
  play() {
    if (this.#session) return;
    const session = new Session(new WatchedFeed(this.name), {
      onConnecting() {},
      onLive: () => {},
      onReconnecting: () => this.#showVideo(null),
      onProblem: () => this.#showVideo(null),
      onMessage: ({ type }) => {
        // Words come by another way already, and their maps are not shown here.
        if (type === 'hello') session.send({ type: 'configure', explanations: 'none' });
      },
      onVideo: (stream) => this.#showVideo(stream),
    });
    this.#session = session;
    session.run();
  }

  stop() {
    this.#session?.stop();
    this.#session = null;
    this.#showVideo(null);
  }

  /** Reconnects at once, if it waits to. */
  tryNow() {
    this.#session?.tryNow();
  }

  #prepareMedia() {
    const [video, picture] = [this.#video, this.#picture];
    video.muted = video.autoplay = video.playsInline = true;
    // What it shows is told by the caption below it.
    video.setAttribute('aria-hidden', 'true');
    video.hidden = picture.hidden = true;
    video.addEventListener('loadeddata', () => {
      video.hidden = false;
      picture.hidden = true;
    });
    picture.alt = '';
    picture.addEventListener('load', () => (picture.hidden = !video.hidden));
    picture.addEventListener('error', () => (picture.hidden = true));
  }

  /** @param {MediaStream | null} stream */
  #showVideo(stream) {
    const video = this.#video;
    video.srcObject = stream;
    if (stream) video.play().catch(() => {});
    else video.hidden = true;
    this.#showPicture();
  }

  #showPicture() {
    const { caption } = this.#feed;
    if (!this.#isSeen || !this.#video.hidden || caption === null) return;
    const now = performance.now();
    if (caption.seq === this.#picturedSeq || now - this.#picturedAt < PICTURE_MS) return;
    this.#picturedSeq = caption.seq;
    this.#picturedAt = now;
    this.#picture.src = `/api/feeds/${this.name}/picture?${new URLSearchParams({ seq: String(caption.seq) })}`;
  }
}

/**
 * @param {HTMLElement} element
 * @param {string} text
 */
function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}
