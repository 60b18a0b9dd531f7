// @ts-check
/**
 * The video, which the server returns or which is the input itself, with its overlays: progress,
 * problems with their actions, and a one-line note.
 */

import { createButton, getElement, setNodes, setText } from '../common/dom.js';
import { secondsText } from '../common/format.js';
import { gettext } from '../common/i18n.js';

/** @typedef {import('../session/messages.js').ReturnedVideo} ReturnedVideo */
/** @typedef {import('../session/problems.js').Action} Action */
/** @typedef {import('../session/problems.js').Problem} Problem */

/** @type {Record<Action, string>} */
const ACTION_LABELS = {
  retry: gettext('Try again'),
  continue: gettext('Continue'),
  camera: gettext('Use the camera'),
  demo: gettext('Play the demo'),
  file: gettext('Choose a file'),
  login: gettext('Log in'),
  start: gettext('Home'),
};
/** @type {Record<ReturnedVideo, string>} */
const VIDEO_LABELS = {
  annotated: gettext('Video returned by the server, with the caption drawn in'),
  plain: gettext('Video returned by the server'),
  off: gettext('Your own video, shown directly'),
};
/** The stage takes the video's aspect ratio within these limits, so that the caption is in view. */
const MIN_ASPECT_RATIO = 4 / 3;
const MAX_ASPECT_RATIO = 2.2;
const COUNTDOWN_TICK_MS = 250;

/** @param {HTMLVideoElement} video */
export function videoStageElements(video) {
  return {
    video,
    frame: getElement('stage'),
    note: getElement('note'),
    overlay: getElement('overlay'),
    title: getElement('overlay-title'),
    advice: getElement('overlay-advice'),
    detail: getElement('overlay-detail'),
    countdown: getElement('overlay-countdown'),
    actions: getElement('overlay-actions'),
  };
}

export class VideoStage {
  #elements;
  #onAction;
  #onRetryNow;
  /** @type {ReturnType<typeof setInterval> | undefined} */
  #countdown;
  /** @type {MediaStream | null} */
  #returned = null;
  /** @type {MediaStream | null} */
  #input = null;
  #isDirect = false;

  /**
   * @param {ReturnType<typeof videoStageElements>} elements
   * @param {(action: Action) => void} onAction
   * @param {() => void} onRetryNow
   */
  constructor(elements, onAction, onRetryNow) {
    this.#elements = elements;
    this.#onAction = onAction;
    this.#onRetryNow = onRetryNow;
    elements.video.addEventListener('resize', () => this.#setAspectRatio());
  }

  /** @param {MediaStream} stream  The video that the server returns. */
  set returned(stream) {
    this.#returned = stream;
    this.#play();
  }

  /** @param {MediaStream | null} stream  The video that is sent; null if the server has it. */
  set input(stream) {
    this.#input = stream;
    this.#play();
  }

  /** @param {ReturnedVideo} mode  With `off`, the input itself is shown. */
  set mode(mode) {
    this.#isDirect = mode === 'off';
    this.#elements.video.setAttribute('aria-label', VIDEO_LABELS[mode]);
    this.#play();
  }

  get hasFrame() {
    return this.#elements.video.readyState >= HTMLMediaElement.HAVE_CURRENT_DATA;
  }

  /** Removes the video and all overlays. */
  clear() {
    this.#returned = this.#input = null;
    this.#play();
    this.showNote('');
    this.hideOverlay();
  }

  /** Shows a one-line note over the video. @param {Node | string} text  Empty for none. */
  showNote(text) {
    setNodes(this.#elements.note, [text]);
  }

  /**
   * @param {string} title
   * @param {string} advice
   */
  showProgress(title, advice) {
    this.#showOverlay('progress', title, advice, '');
  }

  /** @param {Problem} problem */
  showProblem(problem) {
    const { title, advice, actions } = problem.explanation;
    this.#showOverlay('problem', title, advice, problem.detailNode);
    this.#elements.actions.replaceChildren(
      ...actions.map((action, index) =>
        actionButton(ACTION_LABELS[action], action, index === 0, () => this.#onAction(action)),
      ),
    );
  }

  /**
   * @param {Problem} problem
   * @param {number} retryAt  On the clock of `performance.now()`.
   */
  showRetry(problem, retryAt) {
    const { title, advice } = problem.explanation;
    const { actions, countdown } = this.#elements;
    const hadFocus = actions.contains(document.activeElement);
    const button = actionButton(gettext('Retry now'), 'try-now', true, this.#onRetryNow);
    this.#showOverlay('problem', title, advice, problem.detailNode);
    actions.replaceChildren(button);
    if (hadFocus) button.focus();
    const tick = () => {
      const seconds = Math.ceil((retryAt - performance.now()) / 1000);
      countdown.textContent =
        seconds > 0
          ? gettext('Retrying in {duration}', { duration: secondsText(seconds) })
          : gettext('Retrying…');
    };
    tick();
    this.#countdown = setInterval(tick, COUNTDOWN_TICK_MS);
  }

  /** Ends the countdown: the next attempt has begun. */
  showRetrying() {
    clearInterval(this.#countdown);
    this.#elements.countdown.textContent = gettext('Retrying…');
  }

  hideOverlay() {
    clearInterval(this.#countdown);
    this.#elements.overlay.hidden = true;
  }

  /**
   * @param {'progress' | 'problem'} kind
   * @param {string} title
   * @param {string} advice
   * @param {Node | string} detail
   */
  #showOverlay(kind, title, advice, detail) {
    const { overlay, countdown, actions, ...elements } = this.#elements;
    clearInterval(this.#countdown);
    overlay.dataset.kind = kind;
    overlay.hidden = false;
    countdown.textContent = '';
    actions.replaceChildren();
    setText(elements.title, title);
    setText(elements.advice, advice);
    setNodes(elements.detail, [detail]);
  }

  #play() {
    const { video } = this.#elements;
    const stream = this.#isDirect ? this.#input : this.#returned;
    if (video.srcObject === stream) return;
    video.srcObject = stream;
    if (stream) video.play().catch(() => {});
  }

  #setAspectRatio() {
    const { video, frame } = this.#elements;
    if (video.videoWidth === 0) return;
    const ratio = video.videoWidth / video.videoHeight;
    const clamped = Math.min(MAX_ASPECT_RATIO, Math.max(MIN_ASPECT_RATIO, ratio));
    frame.style.setProperty('--shape', String(clamped));
  }
}

/**
 * @param {string} label
 * @param {string} action
 * @param {boolean} isPrimary
 * @param {() => void} onClick
 */
function actionButton(label, action, isPrimary, onClick) {
  const button = createButton(label, isPrimary ? 'button primary' : 'button');
  button.dataset.action = action;
  button.addEventListener('click', onClick);
  return button;
}
