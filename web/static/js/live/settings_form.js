// @ts-check
/**
 * How to caption and what to explain: asked of the server, shown as it confirms it. What a feed
 * sets for all who watch it is shown, and cannot be changed here.
 */

/** @typedef {import('./protocol.js').Hello} Hello */
/** @typedef {import('./protocol.js').Settings} Settings */

/** @type {Record<Settings['explanations'], string>} */
const WITH_MAPS = {
  all: 'with maps of words and pixels',
  gradcam: 'with maps of words',
  none: 'without maps',
};
/** @type {Record<Settings['overlay'], string>} */
const OVERLAYS = {
  none: 'nothing',
  gradcam: 'what spoke for the caption',
  saliency: 'the pixels that mattered',
};
/** While a slider moves, the server hears of it this often at most. */
const QUIET_MS = 200;
/** A wish that the server has not taken up by then was refused. */
const PATIENCE_MS = 4_000;

export class SettingsView {
  #parts;
  #configure;
  /** What the visitor chose; kept for the next connection. @type {Partial<Settings>} */
  #chosen = {};
  /** @type {Settings} */
  #confirmed = { interval_s: 1, beam_width: 3, overlay: 'none', explanations: 'none' };
  #waiting = false;
  /** Whether it is a feed's stream, whose captions are not this visitor's to set. */
  #watches = false;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #sending;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #giveUp;

  /**
   * @param {object} parts
   * @param {HTMLInputElement} parts.interval
   * @param {HTMLElement} parts.intervalText
   * @param {HTMLSelectElement} parts.beam
   * @param {HTMLSelectElement} parts.overlay
   * @param {HTMLSelectElement} parts.explanations
   * @param {HTMLElement} parts.confirmation
   * @param {HTMLElement} parts.reason  Says why some cannot be set.
   * @param {(settings: Partial<Settings>) => void} configure  Asks the server.
   */
  constructor(parts, configure) {
    this.#parts = parts;
    this.#configure = configure;
    parts.interval.addEventListener('input', () =>
      this.#choose({ interval_s: Number(parts.interval.value) }),
    );
    parts.beam.addEventListener('change', () =>
      this.#choose({ beam_width: Number(parts.beam.value) }),
    );
    for (const name of /** @type {const} */ (['overlay', 'explanations'])) {
      parts[name].addEventListener('change', () => this.#choose({ [name]: parts[name].value }));
    }
    this.#showChosen();
  }

  /** Seconds between captions, as the server last confirmed. */
  get intervalS() {
    return this.#confirmed.interval_s;
  }

  /** What comes with each caption, as the server last confirmed. */
  get explanations() {
    return this.#confirmed.explanations;
  }

  /** @param {Hello} hello  A new connection: what it allows, and our choice for it to take up. */
  greet({ settings, limits, watching }) {
    const { interval, beam } = this.#parts;
    this.#setOwner(watching !== null);
    const [least, most] = limits.interval_s;
    interval.min = String(least);
    interval.max = String(most);
    const [narrowest, widest] = limits.beam_width;
    const widths = Array.from({ length: widest - narrowest + 1 }, (_, index) => narrowest + index);
    beam.replaceChildren(...widths.map((width) => new Option(String(width))));
    this.#confirmed = settings;
    this.#showChosen();
    if (!this.#isConfirmed()) this.#ask();
    else this.#showConfirmation();
  }

  /** @param {Settings} settings  What the server works with. */
  confirm(settings) {
    this.#confirmed = settings;
    if (this.#waiting && !this.#isConfirmed()) return;
    this.#settle();
  }

  /** @param {string} message  Why the server refused what was asked. */
  refuse(message) {
    this.#settle();
    this.#parts.confirmation.textContent = `The server refused: ${message}`;
  }

  /** @param {Partial<Settings>} choice */
  #choose(choice) {
    Object.assign(this.#chosen, choice);
    this.#showChosen();
    clearTimeout(this.#sending);
    this.#sending = setTimeout(() => this.#ask(), QUIET_MS);
    this.#waiting = true;
  }

  #ask() {
    this.#waiting = true;
    this.#parts.confirmation.textContent = 'Asking the server…';
    this.#configure(this.#wishes);
    clearTimeout(this.#giveUp);
    this.#giveUp = setTimeout(() => this.#settle(), PATIENCE_MS);
  }

  /** Shows what the server works with, whether or not it was asked for. */
  #settle() {
    clearTimeout(this.#giveUp);
    this.#waiting = false;
    if (!this.#isConfirmed()) this.#chosen = {};
    this.#showChosen();
    this.#showConfirmation();
  }

  /** What was chosen, of that which is this visitor's to choose. */
  get #wishes() {
    const { explanations } = this.#chosen;
    if (!this.#watches) return this.#chosen;
    return explanations === undefined ? {} : { explanations };
  }

  /** @param {boolean} watches */
  #setOwner(watches) {
    const { interval, beam, overlay, reason } = this.#parts;
    this.#watches = watches;
    for (const control of [interval, beam, overlay]) {
      control.disabled = watches;
      describe(control, reason, watches);
    }
    reason.hidden = !watches;
  }

  #isConfirmed() {
    const { interval_s, ...wanted } = { ...this.#confirmed, ...this.#wishes };
    return (
      Math.abs(interval_s - this.#confirmed.interval_s) < 1e-6 &&
      wanted.beam_width === this.#confirmed.beam_width &&
      wanted.overlay === this.#confirmed.overlay &&
      wanted.explanations === this.#confirmed.explanations
    );
  }

  #showChosen() {
    const { interval, intervalText, beam, overlay, explanations } = this.#parts;
    const shown = { ...this.#confirmed, ...this.#wishes };
    interval.value = String(shown.interval_s);
    intervalText.textContent = secondsText(shown.interval_s);
    interval.setAttribute('aria-valuetext', secondsText(shown.interval_s));
    beam.value = String(shown.beam_width);
    overlay.value = shown.overlay;
    explanations.value = shown.explanations;
  }

  #showConfirmation() {
    const { interval_s, beam_width, overlay, explanations } = this.#confirmed;
    this.#parts.confirmation.textContent =
      `The server captions every ${secondsText(interval_s)}, beam width ${beam_width}, ` +
      `${WITH_MAPS[explanations]}; over its picture it draws ${OVERLAYS[overlay]}.`;
  }
}

/**
 * @param {HTMLElement} control
 * @param {HTMLElement} text
 * @param {boolean} applies
 */
function describe(control, text, applies) {
  const others = (control.getAttribute('aria-describedby') ?? '')
    .split(' ')
    .filter((id) => id !== '' && id !== text.id);
  control.setAttribute('aria-describedby', [...(applies ? [text.id] : []), ...others].join(' '));
}

/** @param {number} seconds */
function secondsText(seconds) {
  return `${Number(seconds.toFixed(2))} s`;
}
