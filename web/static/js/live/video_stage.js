// @ts-check
/** The returned video, and what is said over it: progress, problems, short notes. */

/** @typedef {import('./problems.js').Action} Action */
/** @typedef {import('./problems.js').Problem} Problem */

/** @type {Record<Action, string>} */
const ACTION_LABELS = {
  retry: 'Try again',
  continue: 'Continue',
  camera: 'Use the camera',
  demo: 'Watch the demo',
  file: 'Choose a file',
  login: 'Log in',
  start: 'To the start',
};
/** The stage follows the shape of the picture between these, so that the caption stays in view. */
const NARROWEST = 4 / 3;
const WIDEST = 2.2;
const COUNTDOWN_TICK_MS = 250;

export class Stage {
  #parts;
  #onAction;
  #onTryNow;
  /** @type {ReturnType<typeof setInterval> | undefined} */
  #countdown;

  /**
   * @param {object} parts
   * @param {HTMLVideoElement} parts.video
   * @param {HTMLElement} parts.frame      Holds the video and what lies over it.
   * @param {HTMLElement} parts.note       A line over the picture.
   * @param {HTMLElement} parts.overlay
   * @param {HTMLElement} parts.title
   * @param {HTMLElement} parts.advice
   * @param {HTMLElement} parts.detail
   * @param {HTMLElement} parts.countdown
   * @param {HTMLElement} parts.actions
   * @param {(action: Action) => void} onAction
   * @param {() => void} onTryNow
   */
  constructor(parts, onAction, onTryNow) {
    this.#parts = parts;
    this.#onAction = onAction;
    this.#onTryNow = onTryNow;
    parts.video.addEventListener('resize', () => this.#fit());
  }

  /** @param {MediaStream} stream */
  play(stream) {
    const { video } = this.#parts;
    video.srcObject = stream;
    video.play().catch(() => {});
  }

  get hasPicture() {
    return this.#parts.video.readyState >= HTMLMediaElement.HAVE_CURRENT_DATA;
  }

  /** Takes the picture away. */
  empty() {
    this.#parts.video.srcObject = null;
    this.note('');
    this.clear();
  }

  /** @param {string} text  A short line over the picture; empty for none. */
  note(text) {
    const { note } = this.#parts;
    if (note.textContent !== text) note.textContent = text;
  }

  /**
   * @param {string} title
   * @param {string} advice
   */
  showProgress(title, advice) {
    this.#cover('progress', title, advice, '');
  }

  /** @param {Problem} problem */
  showProblem(problem) {
    const { title, advice, actions } = problem.explanation;
    this.#cover('problem', title, advice, problem.detail);
    this.#parts.actions.replaceChildren(
      ...actions.map((action, index) => {
        const button = newButton(ACTION_LABELS[action], index === 0);
        button.dataset.action = action;
        button.addEventListener('click', () => this.#onAction(action));
        return button;
      }),
    );
  }

  /**
   * @param {Problem} problem
   * @param {number} retryAt  Milliseconds of the wall clock.
   */
  showRetry(problem, retryAt) {
    const { title, advice } = problem.explanation;
    const { actions, countdown } = this.#parts;
    const wasFocused = actions.contains(document.activeElement);
    const tryNow = this.#tryNowButton();
    this.#cover('problem', title, advice, problem.detail);
    actions.replaceChildren(tryNow);
    if (wasFocused) tryNow.focus();
    const tick = () => {
      const seconds = Math.ceil((retryAt - Date.now()) / 1000);
      countdown.textContent = seconds > 0 ? `Next try in ${seconds} s` : 'Trying now…';
    };
    tick();
    this.#countdown = setInterval(tick, COUNTDOWN_TICK_MS);
  }

  /** Says that the pause is over and the next attempt runs. */
  showTrying() {
    clearInterval(this.#countdown);
    this.#parts.countdown.textContent = 'Trying now…';
  }

  /** Uncovers the picture. */
  clear() {
    clearInterval(this.#countdown);
    this.#parts.overlay.hidden = true;
  }

  #tryNowButton() {
    const button = newButton('Try now', true);
    button.dataset.action = 'try-now';
    button.addEventListener('click', () => this.#onTryNow());
    return button;
  }

  /**
   * @param {'progress' | 'problem'} kind
   * @param {string} title
   * @param {string} advice
   * @param {string} detail
   */
  #cover(kind, title, advice, detail) {
    const { overlay, countdown, actions, ...parts } = this.#parts;
    clearInterval(this.#countdown);
    overlay.dataset.kind = kind;
    overlay.hidden = false;
    countdown.textContent = '';
    actions.replaceChildren();
    setText(parts.title, title);
    setText(parts.advice, advice);
    setText(parts.detail, detail);
  }

  #fit() {
    const { video, frame } = this.#parts;
    if (video.videoWidth === 0) return;
    const shape = video.videoWidth / video.videoHeight;
    frame.style.setProperty('--shape', String(Math.min(WIDEST, Math.max(NARROWEST, shape))));
  }
}

/**
 * Texts in a live region are set only when they differ, or they would be read again.
 *
 * @param {HTMLElement} element
 * @param {string} text
 */
function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/**
 * @param {string} label
 * @param {boolean} primary
 */
function newButton(label, primary) {
  const button = document.createElement('button');
  button.type = 'button';
  button.className = primary ? 'button primary' : 'button';
  button.textContent = label;
  return button;
}
