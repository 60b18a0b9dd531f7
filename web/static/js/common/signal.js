// @ts-check
/** A feed's signal: whether frames arrive, since when, and why not. */

import { timeText } from './format.js';
import { asNumber, asObject, asString, oneOf } from './json.js';

/** @typedef {typeof STATES[number]} SignalState */
/** @typedef {{state: SignalState, since: Date, message: string}} Signal */

const STATES = /** @type {const} */ (['connecting', 'live', 'lost', 'ended', 'idle']);

/** @param {unknown} value @returns {Signal | null}  Null if it is malformed. */
export function readSignal(value) {
  const { state, since, message } = asObject(value);
  if (typeof state !== 'string') return null;
  return {
    state: oneOf(state, STATES, 'connecting'),
    since: new Date(asNumber(since, 0) * 1000),
    message: asString(message),
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
      return `No signal since ${timeText(since)}`;
    case 'ended':
      return 'Ended';
    case 'idle':
      return 'Starts when watched';
    case 'connecting':
      return 'Connecting';
  }
}
