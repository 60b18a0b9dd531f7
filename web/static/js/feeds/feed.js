// @ts-check
/** A feed, or a published session: its title, signal, viewers and newest caption. */

import { readCaption } from '../captions/caption.js';
import { listText } from '../common/format.js';
import { gettext, ngettext } from '../common/i18n.js';
import { asNumber, asObject, asString } from '../common/json.js';
import { readSignal } from '../common/signal.js';

/** @typedef {import('../captions/caption.js').Caption} Caption */
/** @typedef {import('../common/signal.js').Signal} Signal */
/**
 * @typedef {object} Feed
 * @property {string} name
 * @property {string} title
 * @property {Signal} signal
 * @property {number} viewers
 * @property {number} intervalS   Seconds between captions.
 * @property {Caption | null} caption  The newest.
 * @property {string[]} rules     Names of the rules that have fired and not ended.
 * @property {Date | null} capturedAt  When its frame was captured, by this device's clock.
 */

/** @param {unknown} value @returns {Feed[]}  One, or none if it is malformed. */
export function readFeed(value) {
  const feed = asObject(value);
  const name = asString(feed.name);
  const signal = readSignal(feed.signal);
  if (name === '' || !signal) return [];
  const caption = readCaption(asObject(feed.caption));
  return [
    {
      name,
      title: asString(feed.title) || name,
      signal,
      viewers: Math.max(0, asNumber(feed.viewers, 0)),
      intervalS: asNumber(feed.interval_s, 2),
      caption,
      rules: [],
      capturedAt: caption && captureTime(caption),
    },
  ];
}

/**
 * Returns when a caption's frame was captured. It is computed from its age, because the server's
 * clock may differ from this device's.
 *
 * @param {Caption} caption  One that has just arrived.
 */
export function captureTime({ age_ms }) {
  return new Date(Date.now() - age_ms);
}

/** @param {string[]} rules  That have fired. @returns {string}  Empty for none. */
export function rulesText(rules) {
  return rules.length === 0 ? '' : gettext('Rule: {names}', { names: listText(rules) });
}

/** @param {number} count @returns {string}  Empty for none. */
export function viewersText(count) {
  if (count === 0) return '';
  return ngettext('{count} viewer', '{count} viewers', count);
}
