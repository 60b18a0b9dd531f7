// @ts-check
/** The settings of captions and maps: sent to the server, and shown as it confirms them. */

import { getElement } from '../common/dom.js';
import { sentence } from '../common/format.js';

/** @typedef {import('../session/messages.js').Hello} Hello */
/** @typedef {import('../session/messages.js').Settings} Settings */

/** Delay before a change is sent: a slider fires many. */
const DEBOUNCE_MS = 200;
/** A change that the server has not confirmed by then was rejected. */
const CONFIRMATION_TIMEOUT_MS = 4_000;

export function settingsFormElements() {
  return {
    interval: getElement('interval', HTMLInputElement),
    intervalText: getElement('interval-text'),
    beamWidth: getElement('beam-width', HTMLSelectElement),
    beamWidthField: getElement('beam-width-field'),
    overlay: getElement('picture-overlay', HTMLSelectElement),
    explanations: getElement('explanations', HTMLSelectElement),
    confirmation: getElement('confirmation'),
    readOnlyReason: getElement('settings-reason'),
  };
}

export class SettingsForm {
  #elements;
  #configure;
  /** The user's changes, which are sent again after a reconnection. @type {Partial<Settings>} */
  #changes = {};
  /** @type {Settings} */
  #confirmed = { interval_s: 1, beam_width: 3, overlay: 'none', explanations: 'none' };
  #isPending = false;
  /** Whether the stream is a feed, most of whose settings are the server's. */
  #isFeed = false;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #debounce;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timeout;

  /**
   * @param {ReturnType<typeof settingsFormElements>} elements
   * @param {(settings: Partial<Settings>) => void} configure  Sends settings to the server.
   */
  constructor(elements, configure) {
    this.#elements = elements;
    this.#configure = configure;
    const { interval, beamWidth, overlay, explanations } = elements;
    interval.addEventListener('input', () => this.#change({ interval_s: Number(interval.value) }));
    beamWidth.addEventListener('change', () =>
      this.#change({ beam_width: Number(beamWidth.value) }),
    );
    overlay.addEventListener('change', () =>
      this.#change({ overlay: /** @type {Settings['overlay']} */ (overlay.value) }),
    );
    explanations.addEventListener('change', () =>
      this.#change({ explanations: /** @type {Settings['explanations']} */ (explanations.value) }),
    );
    this.#showValues();
  }

  /** Seconds between captions, as the server last confirmed. */
  get intervalS() {
    return this.#confirmed.interval_s;
  }

  /**
   * Applies the limits of a new connection, and sends the user's changes again.
   *
   * @param {Hello} hello
   */
  start({ settings, limits, watching }) {
    const { interval, beamWidth, beamWidthField } = this.#elements;
    beamWidthField.hidden = settings.beam_width === null;
    if (settings.beam_width === null) delete this.#changes.beam_width;
    this.#setReadOnly(watching !== null);
    const [shortest, longest] = limits.interval_s;
    interval.min = String(shortest);
    interval.max = String(longest);
    const [narrowest, widest] = limits.beam_width;
    const widths = Array.from({ length: widest - narrowest + 1 }, (_, index) => narrowest + index);
    beamWidth.replaceChildren(...widths.map((width) => new Option(String(width))));
    this.#confirmed = settings;
    this.#showValues();
    this.#elements.confirmation.textContent = '';
    if (!this.#isConfirmed()) this.#sendChanges();
  }

  /** @param {Settings} settings  In effect on the server. */
  confirm(settings) {
    this.#confirmed = settings;
    if (this.#isPending && !this.#isConfirmed()) return;
    this.#settle('Saved');
  }

  /** @param {string} message  An error of the server, which rejects a pending change. */
  showError(message) {
    if (this.#isPending) this.#settle(`Not saved: ${message}`);
    else this.#elements.confirmation.textContent = sentence(message);
  }

  /** @param {Partial<Settings>} change */
  #change(change) {
    Object.assign(this.#changes, change);
    this.#showValues();
    this.#showPending();
    clearTimeout(this.#debounce);
    this.#debounce = setTimeout(() => this.#sendChanges(), DEBOUNCE_MS);
  }

  #sendChanges() {
    this.#showPending();
    this.#configure(this.#ownChanges);
    clearTimeout(this.#timeout);
    this.#timeout = setTimeout(
      () => this.#settle('Not saved: the server did not confirm the change.'),
      CONFIRMATION_TIMEOUT_MS,
    );
  }

  #showPending() {
    this.#isPending = true;
    this.#elements.confirmation.textContent = 'Saving…';
  }

  /**
   * Shows the settings in effect, and drops changes that were not accepted.
   *
   * @param {string} result  Shown if a change was pending.
   */
  #settle(result) {
    clearTimeout(this.#timeout);
    if (this.#isPending) this.#elements.confirmation.textContent = result;
    this.#isPending = false;
    if (!this.#isConfirmed()) this.#changes = {};
    this.#showValues();
  }

  /** The changes that the user may make to this stream. */
  get #ownChanges() {
    const { explanations } = this.#changes;
    if (!this.#isFeed) return this.#changes;
    return explanations === undefined ? {} : { explanations };
  }

  /** @param {boolean} isFeed */
  #setReadOnly(isFeed) {
    const { interval, beamWidth, overlay, readOnlyReason } = this.#elements;
    this.#isFeed = isFeed;
    for (const control of [interval, beamWidth, overlay]) {
      control.disabled = isFeed;
      toggleDescription(control, readOnlyReason, isFeed);
    }
    readOnlyReason.hidden = !isFeed;
  }

  #isConfirmed() {
    const { interval_s, ...wanted } = { ...this.#confirmed, ...this.#ownChanges };
    return (
      Math.abs(interval_s - this.#confirmed.interval_s) < 1e-6 &&
      wanted.beam_width === this.#confirmed.beam_width &&
      wanted.overlay === this.#confirmed.overlay &&
      wanted.explanations === this.#confirmed.explanations
    );
  }

  #showValues() {
    const { interval, intervalText, beamWidth, overlay, explanations } = this.#elements;
    const shown = { ...this.#confirmed, ...this.#ownChanges };
    interval.value = String(shown.interval_s);
    intervalText.textContent = secondsText(shown.interval_s);
    interval.setAttribute('aria-valuetext', secondsText(shown.interval_s));
    beamWidth.value = String(shown.beam_width ?? '');
    overlay.value = shown.overlay;
    explanations.value = shown.explanations;
  }
}

/**
 * Adds an element to those that describe a control, or removes it.
 *
 * @param {HTMLElement} control
 * @param {HTMLElement} description
 * @param {boolean} applies
 */
function toggleDescription(control, description, applies) {
  const others = (control.getAttribute('aria-describedby') ?? '')
    .split(' ')
    .filter((id) => id !== '' && id !== description.id);
  const ids = applies ? [description.id, ...others] : others;
  control.setAttribute('aria-describedby', ids.join(' '));
}

/** @param {number} seconds */
function secondsText(seconds) {
  return `${Number(seconds.toFixed(2))} s`;
}
