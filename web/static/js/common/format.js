// @ts-check
/** Text for percentages, durations, ages and times. */

import { createElement } from './dom.js';

const TIME = new Intl.DateTimeFormat(undefined, { timeStyle: 'short' });
const TIME_WITH_SECONDS = new Intl.DateTimeFormat(undefined, { timeStyle: 'medium' });
const DATE_AND_TIME = new Intl.DateTimeFormat(undefined, {
  weekday: 'short',
  day: 'numeric',
  month: 'short',
  hour: 'numeric',
  minute: '2-digit',
});

/** @param {number} share  0 to 1. */
export function percent(share) {
  if (share > 0.995 && share < 1) return 'over 99%';
  if (share < 0.005 && share > 0) return 'under 1%';
  return `${Math.round(share * 100)}%`;
}

/**
 * @param {number} seconds
 * @returns {string}  Such as "12 s", "3 min" or "2 h".
 */
export function durationText(seconds) {
  if (seconds < 90) return `${Math.round(seconds)} s`;
  if (seconds < 90 * 60) return `${Math.round(seconds / 60)} min`;
  if (seconds < 36 * 3600) return `${Math.round(seconds / 3600)} h`;
  return `${Math.round(seconds / 86_400)} days`;
}

/**
 * @param {number} seconds
 * @returns {string}  The estimated time left, such as "about 9 s".
 */
export function timeLeftText(seconds) {
  if (seconds < 1) return 'less than a second';
  return seconds < 90 ? `about ${Math.ceil(seconds)} s` : `about ${Math.round(seconds / 60)} min`;
}

/**
 * @param {number} seconds
 * @returns {string}  Such as "0.4 s ago".
 */
export function ageText(seconds) {
  return seconds < 10 ? `${seconds.toFixed(1)} s ago` : `${durationText(seconds)} ago`;
}

/**
 * @param {Date} time
 * @returns {string}  How long ago it was in whole units: "just now" or "12 s ago".
 */
export function roughAgeText(time) {
  const seconds = Math.max(0, Date.now() - time.getTime()) / 1000;
  return seconds < 1 ? 'just now' : `${durationText(seconds)} ago`;
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

/** @param {Date} time */
export function timeElement(time) {
  const element = createElement('time', '', timeWithSeconds(time));
  element.dateTime = time.toISOString();
  return element;
}

/**
 * Turns a server's message into a sentence: capitalised, with a full stop.
 *
 * @param {string} message
 */
export function sentence(message) {
  const end = /[.!?]$/.test(message) ? '' : '.';
  return `${message.charAt(0).toUpperCase()}${message.slice(1)}${end}`;
}
