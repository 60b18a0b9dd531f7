// @ts-check
/** Ranges of time whose bars begin at whole minutes, hours or days. */

import { localTime } from './history_api.js';

/** @typedef {{from: string, to: string}} TimeRange  As `datetime-local` fields have them. */

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;
/** Lengths of a bar. */
const STEPS_MS = [
  ...[1, 2, 5, 10, 15, 30].map((seconds) => 1000 * seconds),
  ...[1, 2, 5, 10, 15, 30].map((minutes) => MINUTE_MS * minutes),
  ...[1, 2, 3, 6, 12].map((hours) => HOUR_MS * hours),
  ...[1, 2, 7].map((days) => DAY_MS * days),
];
/** What is shown around a moment. */
const AROUND_MS = 5 * MINUTE_MS;
/** The longest range of a summary, and of one by the hour: two days, one of which may be longer. */
const MAX_SUMMARY_MS = 8 * DAY_MS;
const MAX_HOURS_MS = 49 * HOUR_MS;

/** @param {string} name @returns {TimeRange}  Of "hour", "today" or "week". */
export function namedRange(name) {
  const now = new Date();
  if (name === 'hour') {
    const end = Math.ceil(now.getTime() / MINUTE_MS) * MINUTE_MS;
    return between(new Date(end - HOUR_MS), new Date(end));
  }
  const days = name === 'week' ? 7 : 1;
  const dayAt = (/** @type {number} */ offset) =>
    new Date(now.getFullYear(), now.getMonth(), now.getDate() + offset);
  return between(dayAt(1 - days), dayAt(1));
}

/**
 * @param {Date} from
 * @param {Date} to
 * @returns {TimeRange}  The minutes around a moment.
 */
export function around(from, to) {
  const first = Math.floor((from.getTime() - AROUND_MS) / MINUTE_MS) * MINUTE_MS;
  const last = Math.ceil((to.getTime() + AROUND_MS) / MINUTE_MS) * MINUTE_MS;
  return between(new Date(first), new Date(last));
}

/**
 * Returns how many bars to show: as many as fit that have a length that people count in.
 *
 * @param {TimeRange} range  Either may be empty.
 * @param {number} max       The most that fit.
 */
export function barCount({ from, to }, max) {
  const lengthMs = Date.parse(to) - Date.parse(from);
  const step = STEPS_MS.find((each) => lengthMs % each === 0 && lengthMs / each <= max);
  return step === undefined ? max : Math.max(1, lengthMs / step);
}

/**
 * Returns the range of a summary: a day if no beginning is given, until now if no end is.
 *
 * @param {TimeRange} range  Either may be empty.
 * @returns {import('./history_api.js').SummaryRange | null}  Null if it is too long.
 */
export function summaryRange({ from, to }) {
  const now = Math.ceil(Date.now() / MINUTE_MS) * MINUTE_MS;
  const start = Date.parse(from);
  const stop = Date.parse(to);
  const end = Number.isFinite(stop) ? stop : Math.max(now, Number.isFinite(start) ? start : 0);
  const begin = Number.isFinite(start) ? start : beginningOfHour(end) - DAY_MS + HOUR_MS;
  const lengthMs = end - begin;
  if (lengthMs < 0 || lengthMs > MAX_SUMMARY_MS) return null;
  const byHour = lengthMs > HOUR_MS && lengthMs <= MAX_HOURS_MS;
  return { from: new Date(begin), to: new Date(end), byHour };
}

/** @param {number} time  Milliseconds since 1970. */
function beginningOfHour(time) {
  return new Date(time).setMinutes(0, 0, 0);
}

/**
 * @param {Date} from
 * @param {Date} to
 * @returns {TimeRange}
 */
function between(from, to) {
  return { from: localTime(from), to: localTime(to) };
}
