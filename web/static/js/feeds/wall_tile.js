// @ts-check
/** A feed on the wall: its video or its last frame, title, caption, age, signal and viewers. */

import { captionNodes } from '../captions/caption_text.js';
import { createElement, setNodes, setText } from '../common/dom.js';
import { roughAgeText, staleAfter } from '../common/format.js';
import { gettext } from '../common/i18n.js';
import { feedUrl } from '../common/routes.js';
import { signalText } from '../common/signal.js';
import { FeedInput } from '../session/inputs.js';
import { Session } from '../session/session.js';
import { rulesText, viewersText } from './feed.js';

/** @typedef {import('./feed.js').Feed} Feed */

/** A tile without video fetches a frame this often at most. */
const FRAME_MS = 2_000;

export class WallTile {
  #feed;
  #video = createElement('video', '');
  #image = createElement('img', '');
  #title = createElement('a', '');
  #words = createElement('p', 'words');
  #facts = createElement('p', 'facts');
  /** @type {Session | null} */
  #session = null;
  #isInView = false;
  #frameSeq = -1;
  #frameFetchedAt = -Infinity;
  item;

  /** @param {Feed} feed */
  constructor(feed) {
    this.#feed = feed;
    this.#prepareMedia();
    this.#title.href = feedUrl(feed.name);
    const heading = createElement('h2', '', this.#title);
    heading.id = `tile-${feed.name}`;
    const article = createElement(
      'article',
      'wall-tile',
      createElement('div', 'wall-stage', this.#image, this.#video),
      createElement('header', 'wall-head', heading, this.#facts),
      this.#words,
    );
    article.setAttribute('aria-labelledby', heading.id);
    this.item = createElement('li', '', article);
  }

  /** @param {Feed} feed */
  show(feed) {
    this.#feed = feed;
    this.item.dataset.signal = feed.signal.state;
    setText(this.#title, feed.title);
    const { caption } = feed;
    setNodes(this.#words, caption ? captionNodes(caption) : [gettext('No caption yet.')]);
    this.item.toggleAttribute('data-silent', feed.caption === null);
    this.tick();
    this.#updateFrame();
  }

  /** Updates the caption's age. */
  tick() {
    const { capturedAt, intervalS, rules, viewers, signal } = this.#feed;
    const age = capturedAt ? roughAgeText(capturedAt) : '';
    const isStale =
      capturedAt !== null && Date.now() - capturedAt.getTime() > 1000 * staleAfter(intervalS);
    this.item.dataset.age = isStale ? 'stale' : 'fresh';
    const facts = [
      rulesText(rules),
      signalText(signal),
      isStale ? gettext('{age}, out of date', { age }) : age,
      viewersText(viewers),
    ];
    setText(this.#facts, facts.filter((fact) => fact !== '').join(' · '));
  }

  /** @param {boolean} inView */
  set isInView(inView) {
    this.#isInView = inView;
    this.#updateFrame();
  }

  get isInView() {
    return this.#isInView;
  }

  /** Plays the feed's video until it is stopped. */
  play() {
    if (this.#session) return;
    const session = new Session(new FeedInput(this.#feed.name, '', 'plain'), {
      onReconnecting: () => this.#showVideo(null),
      onProblem: () => this.#showVideo(null),
      onMessage: ({ type }) => {
        // Captions come by server-sent events, and the wall shows no maps.
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

  /** Ends the delay before the next reconnection. */
  retryNow() {
    this.#session?.retryNow();
  }

  #prepareMedia() {
    const [video, image] = [this.#video, this.#image];
    video.muted = video.autoplay = video.playsInline = true;
    // The caption below is its text alternative.
    video.setAttribute('aria-hidden', 'true');
    video.hidden = image.hidden = true;
    video.addEventListener('loadeddata', () => {
      video.hidden = false;
      image.hidden = true;
    });
    image.alt = '';
    image.addEventListener('load', () => (image.hidden = !video.hidden));
    image.addEventListener('error', () => (image.hidden = true));
  }

  /** @param {MediaStream | null} stream */
  #showVideo(stream) {
    const video = this.#video;
    video.srcObject = stream;
    if (stream) video.play().catch(() => {});
    else video.hidden = true;
    this.#updateFrame();
  }

  /** Fetches the newest caption's frame, unless the video plays or the tile is out of view. */
  #updateFrame() {
    const { caption, name } = this.#feed;
    if (!this.#isInView || !this.#video.hidden || caption === null) return;
    const now = performance.now();
    if (caption.seq === this.#frameSeq || now - this.#frameFetchedAt < FRAME_MS) return;
    this.#frameSeq = caption.seq;
    this.#frameFetchedAt = now;
    const query = new URLSearchParams({ seq: String(caption.seq) });
    this.#image.src = `api/feeds/${name}/picture?${query}`;
  }
}
