// @ts-check
/** The note over the video: why it stands still or has no captions. */

import { createElement, englishText } from '../common/dom.js';
import { timeText } from '../common/format.js';
import { gettext } from '../common/i18n.js';
import { serverNode } from '../session/server_texts.js';

/** @typedef {import('../common/signal.js').Signal} Signal */
/** @typedef {import('../session/messages.js').Captioner} Captioner */
/** @typedef {import('./video_stage.js').VideoStage} VideoStage */

/** How long the return of a feed's signal is shown. */
const RECOVERED_MS = 4_000;
/** @type {Captioner} */
const READY = { state: 'ready', message: '' };

/** Shows the most important status of the stream: camera, then signal, then captioner. */
export class StreamStatus {
  #stage;
  #isShown = false;
  #isCameraMuted = false;
  #captioner = READY;
  /** @type {Signal | null} */
  #signal = null;
  /**
   * Runs while the return of the signal is shown.
   *
   * @type {ReturnType<typeof setTimeout> | undefined}
   */
  #recovered;

  /** @param {VideoStage} stage */
  constructor(stage) {
    this.#stage = stage;
  }

  /** Resets the status, before another session. */
  clear() {
    this.#isCameraMuted = false;
    this.#captioner = READY;
    this.#signal = null;
    this.#clearRecovered();
  }

  /** @param {boolean} shown  Whether the session is live. */
  set isShown(shown) {
    this.#isShown = shown;
    this.update();
  }

  /** @param {boolean} muted */
  set isCameraMuted(muted) {
    this.#isCameraMuted = muted;
    this.update();
  }

  /** @param {Captioner} captioner */
  set captioner(captioner) {
    this.#captioner = captioner;
    this.update();
  }

  get captioner() {
    return this.#captioner;
  }

  /** @param {Signal | null} signal  Of the watched feed; null if there is none. */
  set signal(signal) {
    const hasRecovered = this.#signal?.state === 'lost' && signal?.state === 'live';
    if (signal?.state !== this.#signal?.state) this.#clearRecovered();
    this.#signal = signal;
    if (hasRecovered) {
      this.#recovered = setTimeout(() => {
        this.#clearRecovered();
        this.update();
      }, RECOVERED_MS);
    }
    this.update();
  }

  /** Updates the note. Call it when the first frame has arrived, too. */
  update() {
    if (this.#isShown) this.#stage.showNote(this.#text());
  }

  /** @returns {Node | string} */
  #text() {
    if (this.#isCameraMuted) {
      return gettext('The camera sends no video. It may be covered, or in use by another program.');
    }
    const noFrames = this.#signal && noFramesText(this.#signal);
    if (noFrames) return noFrames;
    const { state, message } = this.#captioner;
    if (state === 'paused') {
      const reason = message === '' ? gettext('Captions are paused.') : serverNode(message);
      const resume = gettext('Captions resume automatically; the video goes on.');
      return createElement('span', '', reason, ' ', resume);
    }
    if (state === 'starting') {
      return gettext('The captioner is starting. The video is already live.');
    }
    if (this.#recovered !== undefined) return gettext('The signal is back.');
    return this.#stage.hasFrame ? '' : gettext('Waiting for the first frame…');
  }

  #clearRecovered() {
    clearTimeout(this.#recovered);
    this.#recovered = undefined;
  }
}

/**
 * @param {Signal} signal
 * @returns {Node | string}  Why the feed has no frames; empty if it has.
 */
function noFramesText({ state, since, message }) {
  const details = message === '' ? [] : [' ', englishText(message)];
  switch (state) {
    case 'lost': {
      const time = timeText(since);
      const text = gettext('No signal since {time}. Reconnecting…', { time });
      return createElement('span', '', text, ...details);
    }
    case 'ended':
      return createElement('span', '', gettext('This feed has ended.'), ...details);
    case 'connecting':
    case 'idle':
      return gettext('The server is connecting to this feed.');
    case 'live':
      return '';
  }
}
