// @ts-check
/** The one thing that is worth a line over the picture: why it stands still, or has no caption. */

import { clockText } from './signal.js';

/** @typedef {import('./protocol.js').Captioner} Captioner */
/** @typedef {import('./protocol.js').Signal} Signal */
/** @typedef {import('./stage.js').Stage} Stage */

/** So long it is said that the signal is back. */
const GLAD_MS = 4_000;
/** @type {Captioner} */
const READY = { state: 'ready', message: '' };

export class StageNotes {
  #stage;
  #areShown = false;
  #cameraIsMuted = false;
  #captioner = READY;
  /** @type {Signal | null} */
  #signal = null;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #glad;

  /** @param {Stage} stage */
  constructor(stage) {
    this.#stage = stage;
  }

  /** Forgets the session. */
  clear() {
    this.#cameraIsMuted = false;
    this.#captioner = READY;
    this.#signal = null;
    this.#endGladness();
  }

  /** @param {boolean} shown  Whether there is a live picture to which they apply. */
  set areShown(shown) {
    this.#areShown = shown;
    this.show();
  }

  /** @param {boolean} muted */
  set cameraIsMuted(muted) {
    this.#cameraIsMuted = muted;
    this.show();
  }

  /** @param {Captioner} captioner */
  set captioner(captioner) {
    this.#captioner = captioner;
    this.show();
  }

  get captioner() {
    return this.#captioner;
  }

  /** @param {Signal | null} signal  Of the feed that is watched; null without one. */
  set signal(signal) {
    const isBack = this.#signal?.state === 'lost' && signal?.state === 'live';
    if (signal?.state !== this.#signal?.state) this.#endGladness();
    this.#signal = signal;
    if (isBack) {
      this.#glad = setTimeout(() => {
        this.#endGladness();
        this.show();
      }, GLAD_MS);
    }
    this.show();
  }

  /** To be called when there is a picture at last, too. */
  show() {
    if (this.#areShown) this.#stage.note(this.#text());
  }

  #text() {
    if (this.#cameraIsMuted) {
      return 'The camera sends no picture: it is covered, or another program has it.';
    }
    const lack = this.#signal && lackText(this.#signal);
    if (lack) return lack;
    if (this.#captioner.state === 'paused') {
      return 'Captions are paused and come back by themselves. The picture goes on.';
    }
    if (this.#captioner.state === 'starting') {
      return 'The captioner is starting. The picture is live already.';
    }
    if (this.#glad !== undefined) return 'The signal is back.';
    return this.#stage.hasPicture ? '' : 'Waiting for the first picture.';
  }

  #endGladness() {
    clearTimeout(this.#glad);
    this.#glad = undefined;
  }
}

/**
 * @param {Signal} signal
 * @returns {string}  Why no pictures come; empty if they do.
 */
function lackText({ state, since, message }) {
  switch (state) {
    case 'lost':
      return `No signal since ${clockText(since)}. It is tried again and again. ${message}`.trim();
    case 'ended':
      return `This feed has ended. ${message}`.trim();
    case 'connecting':
    case 'idle':
      return 'The server is connecting to this feed.';
    case 'live':
      return '';
  }
}
