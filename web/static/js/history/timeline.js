// @ts-check
/** The timeline: a bar chart of captions over time, whose bars narrow the search. */

import { createButton, createElement, moveFocus, setTabStop } from '../common/dom.js';
import { listText } from '../common/format.js';
import { gettext, LOCALE, ngettext } from '../common/i18n.js';

/** @typedef {import('./history_api.js').Bucket} Bucket */
/** @typedef {import('./history_api.js').TimelineData} TimelineData */

const DAY_MS = 86_400_000;
const MINUTE_MS = 60_000;
const TO_THE_SECOND = new Intl.DateTimeFormat(LOCALE, {
  dateStyle: 'medium',
  timeStyle: 'medium',
});
const TO_THE_MINUTE = new Intl.DateTimeFormat(LOCALE, {
  dateStyle: 'medium',
  timeStyle: 'short',
});
const TO_THE_DAY = new Intl.DateTimeFormat(LOCALE, { dateStyle: 'medium' });

export class Timeline {
  #elements;
  #onLook;
  /** @type {HTMLButtonElement[]} */
  #buttons = [];
  /** @type {Bucket[]} */
  #buckets = [];
  #summary = '';

  /**
   * @param {object} elements
   * @param {HTMLElement} elements.section  Hidden while there is nothing to show.
   * @param {HTMLElement} elements.bars
   * @param {HTMLElement} elements.detail  About the bar under the pointer, or all of them.
   * @param {HTMLElement} elements.from
   * @param {HTMLElement} elements.to
   * @param {(bucket: Bucket) => void} onSelect
   * @param {(bucket: Bucket | undefined) => void} onLook  The user looks at a bar, or at none.
   */
  constructor(elements, onSelect, onLook) {
    this.#elements = elements;
    this.#onLook = onLook;
    const { bars } = elements;
    bars.addEventListener('keydown', (event) => moveFocus(event, this.#buttons));
    bars.addEventListener('pointerover', ({ target }) => this.#showDetail(target));
    bars.addEventListener('focusin', ({ target }) => this.#showDetail(target));
    bars.addEventListener('pointerdown', ({ target, pointerId }) => {
      // A finger that slides along the bars looks at each of them, as a mouse does.
      if (target instanceof Element && target.hasPointerCapture(pointerId)) {
        target.releasePointerCapture(pointerId);
      }
    });
    bars.addEventListener('pointerleave', ({ pointerType }) => {
      if (pointerType === 'mouse') this.#showDetail(document.activeElement);
    });
    bars.addEventListener('focusout', () => this.#showDetail(null));
    bars.addEventListener('click', ({ target }) => {
      const bucket = this.#bucketOf(target);
      if (bucket && bucket.captions > 0) onSelect(bucket);
    });
  }

  /** @param {TimelineData} timeline */
  show({ buckets, from, to }) {
    const { section, bars, from: start, to: end } = this.#elements;
    section.hidden = buckets.every(({ captions }) => captions === 0);
    const hadFocus = bars.contains(document.activeElement);
    const max = Math.max(1, ...buckets.map(({ captions }) => captions));
    const total = buckets.reduce((sum, { captions }) => sum + captions, 0);
    this.#buckets = buckets;
    this.#buttons = buckets.map((bucket) => createBar(bucket, bucket.captions / max));
    bars.replaceChildren(...this.#buttons);
    this.#summary =
      total === 0 ? '' : ngettext('{count} caption in total', '{count} captions in total', total);
    start.textContent = total === 0 ? '' : TO_THE_MINUTE.format(from);
    end.textContent = total === 0 ? '' : TO_THE_MINUTE.format(to);
    setTabStop(
      this.#buttons,
      Math.max(
        0,
        buckets.findIndex(({ captions }) => captions > 0),
      ),
    );
    if (hadFocus) this.#buttons.find(({ tabIndex }) => tabIndex === 0)?.focus();
    this.#showDetail(document.activeElement);
  }

  /** @param {EventTarget | null} target */
  #showDetail(target) {
    const bucket = this.#bucketOf(target);
    this.#elements.detail.textContent = bucket ? bucketText(bucket) : this.#summary;
    this.#onLook(bucket);
  }

  /** @param {EventTarget | null} target */
  #bucketOf(target) {
    // The pointer is over the button, or over the coloured bar in it.
    const button = target instanceof Element ? target.closest('button') : null;
    return this.#buckets[this.#buttons.findIndex((each) => each === button)];
  }
}

/**
 * @param {Bucket} bucket
 * @param {number} share  Of the highest bar.
 */
function createBar(bucket, share) {
  const bar = createElement('i', '');
  bar.style.setProperty('--share', share.toFixed(3));
  const button = createButton('', '');
  button.append(bar);
  button.setAttribute('aria-label', bucketText(bucket));
  return button;
}

/** @param {Bucket} bucket */
function bucketText({ from, to, captions, words }) {
  const lengthMs = to.getTime() - from.getTime();
  const format =
    lengthMs >= DAY_MS ? TO_THE_DAY : lengthMs >= MINUTE_MS ? TO_THE_MINUTE : TO_THE_SECOND;
  const period = format.formatRange(from, to);
  if (captions === 0) return gettext('{period}: no captions', { period });
  if (words.length === 0) {
    return ngettext('{period}: {count} caption', '{period}: {count} captions', captions, {
      period,
    });
  }
  return ngettext(
    '{period}: {count} caption, mostly: {words}',
    '{period}: {count} captions, mostly: {words}',
    captions,
    { period, words: listText(words) },
  );
}
