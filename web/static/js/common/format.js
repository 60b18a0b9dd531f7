// @ts-check
/** Text for numbers, percentages, durations, ages and times, in the language of the page. */

import { createElement } from './dom.js';
import { gettext, LOCALE, ngettext } from './i18n.js';

/** From here on, times are given in days. */
const DAYS_S = 36 * 3600;
const TIME = new Intl.DateTimeFormat(LOCALE, { timeStyle: 'short' });
const TIME_WITH_SECONDS = new Intl.DateTimeFormat(LOCALE, { timeStyle: 'medium' });
const DATE_AND_TIME = new Intl.DateTimeFormat(LOCALE, {
  weekday: 'short',
  day: 'numeric',
  month: 'short',
  hour: 'numeric',
  minute: '2-digit',
});
const PERCENT = new Intl.NumberFormat(LOCALE, { style: 'percent' });
const PERCENT_OF_TENTHS = new Intl.NumberFormat(LOCALE, {
  style: 'percent',
  minimumFractionDigits: 1,
  maximumFractionDigits: 1,
});
/** By the number of their fraction digits. */
const FIXED = [0, 1, 2, 3].map(
  (digits) =>
    new Intl.NumberFormat(LOCALE, { minimumFractionDigits: digits, maximumFractionDigits: digits }),
);
const ROUNDED = new Intl.NumberFormat(LOCALE, { maximumFractionDigits: 2 });
const SIGNIFICANT = [1, 2].map(
  (digits) => new Intl.NumberFormat(LOCALE, { maximumSignificantDigits: digits }),
);
const LIST = new Intl.ListFormat(LOCALE, { type: 'conjunction', style: 'narrow' });

/** @param {number} share  0 to 1. */
export function percent(share) {
  if (share > 0.995 && share < 1)
    return gettext('over {percent}', { percent: PERCENT.format(0.99) });
  if (share < 0.005 && share > 0) {
    return gettext('under {percent}', { percent: PERCENT.format(0.01) });
  }
  return PERCENT.format(share);
}

/** @param {number} share  Of work, 0 to 1. @returns {string}  100% only once all is done. */
export function wholePercent(share) {
  return PERCENT.format(Math.floor(100 * share) / 100);
}

/** @param {number} share  0 to 1. @returns {string}  Such as "4.2%". */
export function percentOfTenths(share) {
  return PERCENT_OF_TENTHS.format(share);
}

/**
 * @param {number} value
 * @param {number} digits  After the decimal separator, 0 to 3.
 */
export function fixedText(value, digits) {
  return FIXED[digits]?.format(value) ?? String(value);
}

/** @param {number} value @returns {string}  With two digits after the separator at most. */
export function numberText(value) {
  return ROUNDED.format(value);
}

/** @param {number} value @param {1 | 2} digits @returns {string}  With so many significant digits. */
export function significantText(value, digits) {
  return SIGNIFICANT[digits - 1]?.format(value) ?? String(value);
}

/** @param {string[]} items @returns {string}  Such as "dog, ball". */
export function listText(items) {
  return LIST.format(items);
}

/**
 * @param {number} seconds
 * @returns {string}  Such as "12 s", "3 min" or "2 h".
 */
export function durationText(seconds) {
  if (seconds < 90) return secondsText(Math.round(seconds));
  if (seconds < 90 * 60) return gettext('{count} min', { count: fixedText(seconds / 60, 0) });
  if (seconds < DAYS_S) return gettext('{count} h', { count: fixedText(seconds / 3600, 0) });
  return ngettext('{count} day', '{count} days', Math.round(seconds / 86_400));
}

/** @param {number} seconds */
export function secondsText(seconds) {
  return gettext('{count} s', { count: numberText(seconds) });
}

/**
 * @param {number} seconds
 * @returns {string}  The estimated time left, such as "about 9 s left".
 */
export function timeLeftText(seconds) {
  if (seconds < 1) return gettext('less than a second left');
  const duration =
    seconds < 90
      ? secondsText(Math.ceil(seconds))
      : gettext('{count} min', { count: fixedText(seconds / 60, 0) });
  return gettext('about {duration} left', { duration });
}

/**
 * @param {number} seconds
 * @returns {string}  Such as "0.4 s ago".
 */
export function ageText(seconds) {
  const duration =
    seconds < 10 ? gettext('{count} s', { count: fixedText(seconds, 1) }) : durationText(seconds);
  return seconds < DAYS_S ? gettext('{duration} ago', { duration }) : daysAgo(seconds);
}

/**
 * @param {Date} time
 * @returns {string}  How long ago it was in whole units: "just now" or "12 s ago".
 */
export function roughAgeText(time) {
  const seconds = Math.max(0, Date.now() - time.getTime()) / 1000;
  if (seconds < 1) return gettext('just now');
  if (seconds >= DAYS_S) return daysAgo(seconds);
  return gettext('{duration} ago', { duration: durationText(seconds) });
}

/** @param {number} seconds */
function daysAgo(seconds) {
  return ngettext('{count} day ago', '{count} days ago', Math.round(seconds / 86_400));
}

/**
 * Returns the age at which a caption is out of date: two captions after it were missed.
 *
 * @param {number} intervalS  Seconds between captions.
 * @returns {number}  Seconds.
 */
export function staleAfter(intervalS) {
  return 2 * intervalS + 1.5;
}

/**
 * @param {Date} time
 * @returns {string}  The time of day, with the date unless it is today.
 */
export function timeText(time) {
  const isToday = time.toDateString() === new Date().toDateString();
  return (isToday ? TIME : DATE_AND_TIME).format(time);
}

/** @param {Date | number} time  A date, or milliseconds since 1970. */
export function timeWithSeconds(time) {
  return TIME_WITH_SECONDS.format(time);
}

/**
 * @param {Date} first
 * @param {Date} last
 * @returns {(HTMLElement | string)[]}  One `<time>`, or two if they differ as shown.
 */
export function timeRange(first, last) {
  const [from, to] = [timeElement(first), timeElement(last)];
  return from.textContent === to.textContent ? [from] : [from, ' – ', to];
}

/** @param {Date} time @param {string} [text]  With seconds by default. */
export function timeElement(time, text = timeWithSeconds(time)) {
  const element = createElement('time', '', text);
  element.dateTime = time.toISOString();
  return element;
}

/**
 * Turns a server's message into a sentence: capitalised, with a full stop.
 *
 * @param {string} message
 */
export function sentence(message) {
  const end = /[.!?。]$/.test(message) ? '' : '.';
  return `${message.charAt(0).toUpperCase()}${message.slice(1)}${end}`;
}
