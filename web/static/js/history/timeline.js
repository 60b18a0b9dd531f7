// @ts-check
/** How much was said when: a bar for each part of the time, which narrows the search to it. */

import { make } from './element.js';

/** @typedef {import('./past_message.js').Bucket} Bucket */
/** @typedef {import('./past_message.js').Timeline} Timeline */

const DAY_MS = 86_400_000;
const MINUTE_MS = 60_000;
const SECOND = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium', timeStyle: 'medium' });
const MINUTE = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium', timeStyle: 'short' });
const DAY = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium' });

export class PastBars {
  #parts;
  #onChosen;
  /** @type {HTMLButtonElement[]} */
  #buttons = [];
  /** @type {Bucket[]} */
  #buckets = [];
  #summary = '';

  /**
   * @param {object} parts
   * @param {HTMLElement} parts.bars
   * @param {HTMLElement} parts.detail  About the bar that is pointed at, or all of them.
   * @param {HTMLElement} parts.from
   * @param {HTMLElement} parts.to
   * @param {(bucket: Bucket) => void} onChosen
   */
  constructor(parts, onChosen) {
    this.#parts = parts;
    this.#onChosen = onChosen;
    const { bars } = parts;
    bars.addEventListener('keydown', (event) => this.#moveFocus(event));
    bars.addEventListener('pointerover', ({ target }) => this.#tell(target));
    bars.addEventListener('focusin', ({ target }) => this.#tell(target));
    bars.addEventListener('pointerleave', () => this.#tell(document.activeElement));
    bars.addEventListener('focusout', () => this.#tell(null));
    bars.addEventListener('click', ({ target }) => {
      const bucket = this.#bucketOf(target);
      if (bucket && bucket.captions > 0) onChosen(bucket);
    });
  }

  /** @param {Timeline} timeline */
  show({ buckets, from, to }) {
    const { bars, from: start, to: end } = this.#parts;
    const hadFocus = bars.contains(document.activeElement);
    const most = Math.max(1, ...buckets.map(({ captions }) => captions));
    const total = buckets.reduce((sum, { captions }) => sum + captions, 0);
    this.#buckets = buckets;
    this.#buttons = buckets.map((bucket) => newBar(bucket, bucket.captions / most));
    bars.replaceChildren(...this.#buttons);
    this.#summary = total === 0 ? '' : `${captionsText(total)} in all.`;
    start.textContent = buckets.length === 0 ? '' : MINUTE.format(from);
    end.textContent = buckets.length === 0 ? '' : MINUTE.format(to);
    this.#setTabStop(Math.max(0, buckets.findIndex(({ captions }) => captions > 0)));
    if (hadFocus) this.#buttons.find(({ tabIndex }) => tabIndex === 0)?.focus();
    this.#tell(document.activeElement);
  }

  /** @param {number} stop */
  #setTabStop(stop) {
    this.#buttons.forEach((button, index) => (button.tabIndex = index === stop ? 0 : -1));
  }

  /** @param {KeyboardEvent} event */
  #moveFocus(event) {
    const at = this.#buttons.findIndex((button) => button === event.target);
    const last = this.#buttons.length - 1;
    const targets = { ArrowLeft: at - 1, ArrowRight: at + 1, Home: 0, End: last };
    const target = targets[/** @type {keyof typeof targets} */ (event.key)];
    if (at < 0 || target === undefined) return;
    event.preventDefault();
    const next = Math.min(last, Math.max(0, target));
    this.#setTabStop(next);
    this.#buttons[next].focus();
  }

  /** @param {EventTarget | null} target */
  #tell(target) {
    const bucket = this.#bucketOf(target);
    this.#parts.detail.textContent = bucket ? bucketText(bucket) : this.#summary;
  }

  /** @param {EventTarget | null} target */
  #bucketOf(target) {
    return this.#buckets[this.#buttons.findIndex((button) => button === target)];
  }
}

/**
 * @param {Bucket} bucket
 * @param {number} share  Of the highest.
 */
function newBar(bucket, share) {
  const bar = make('i', '');
  bar.style.setProperty('--share', share.toFixed(3));
  const button = make('button', '', bar);
  button.type = 'button';
  button.setAttribute('aria-label', bucketText(bucket));
  return button;
}

/** @param {Bucket} bucket */
function bucketText({ from, to, captions, words }) {
  const lastsMs = to.getTime() - from.getTime();
  const format = lastsMs >= DAY_MS ? DAY : lastsMs >= MINUTE_MS ? MINUTE : SECOND;
  const most = captions > 0 && words.length > 0 ? `, mostly ${words.join(', ')}` : '';
  return `${format.formatRange(from, to)}: ${captionsText(captions)}${most}`;
}

/** @param {number} count */
function captionsText(count) {
  if (count === 0) return 'no captions';
  return count === 1 ? '1 caption' : `${count.toLocaleString()} captions`;
}
