// @ts-check
/** Whether pictures come, since when, and why not. */

import { number, object, oneOf, text } from './json.js';

/** @typedef {'connecting' | 'live' | 'lost' | 'ended' | 'idle'} SignalState */
/** @typedef {{state: SignalState, since: Date, message: string}} Signal */

const STATES = /** @type {const} */ (['connecting', 'live', 'lost', 'ended', 'idle']);
const CLOCK = new Intl.DateTimeFormat(undefined, { timeStyle: 'short' });
const DATE = new Intl.DateTimeFormat(undefined, {
  weekday: 'short',
  day: 'numeric',
  month: 'short',
  hour: 'numeric',
  minute: '2-digit',
});

/** @param {unknown} value @returns {Signal | null} */
export function readSignal(value) {
  const { state, since, message } = object(value);
  if (typeof state !== 'string') return null;
  return {
    state: oneOf(state, STATES, 'connecting'),
    since: new Date(number(since, 0) * 1000),
    message: text(message),
  };
}

/**
 * @param {Signal} signal
 * @returns {string}  Such as "Live" or "No signal since 14:03".
 */
export function signalText({ state, since }) {
  switch (state) {
    case 'live':
      return 'Live';
    case 'lost':
      return `No signal since ${clockText(since)}`;
    case 'ended':
      return 'Ended';
    case 'idle':
      return 'Waiting for a viewer';
    case 'connecting':
      return 'Connecting';
  }
}

/**
 * @param {Date} time
 * @returns {string}  With its day, if that is not today.
 */
export function clockText(time) {
  const isToday = time.toDateString() === new Date().toDateString();
  return (isToday ? CLOCK : DATE).format(time);
}
