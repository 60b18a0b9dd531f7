// @ts-check
/** A feed's signal: whether frames arrive, since when, and why not. */

import { timeText } from './format.js';
import { gettext, pgettext } from './i18n.js';
import { asObject, asString, asTime, oneOf } from './json.js';

/** @typedef {typeof STATES[number]} SignalState */
/** @typedef {{state: SignalState, since: Date, message: string}} Signal */

const STATES = /** @type {const} */ (['connecting', 'live', 'lost', 'ended', 'idle']);

/** @param {unknown} value @returns {Signal | null}  Null if it is malformed. */
export function readSignal(value) {
  const { state, since, message } = asObject(value);
  if (typeof state !== 'string') return null;
  return {
    state: oneOf(state, STATES, 'connecting'),
    since: asTime(since),
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
      return pgettext('signal', 'Live');
    case 'lost':
      return gettext('No signal since {time}', { time: timeText(since) });
    case 'ended':
      return pgettext('signal', 'Ended');
    case 'idle':
      return pgettext('signal', 'Starts when watched');
    case 'connecting':
      return pgettext('signal', 'Connecting');
  }
}
