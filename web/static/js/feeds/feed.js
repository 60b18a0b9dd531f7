// @ts-check
/** Something that can be watched: a feed, or a session that somebody shares. */

import { readCaption } from './caption_message.js';
import { number, object, text } from './json.js';
import { readSignal } from './signal.js';

/** @typedef {import('./caption_message.js').Caption} Caption */
/** @typedef {import('./signal.js').Signal} Signal */
/**
 * @typedef {object} WatchableFeed
 * @property {string} name
 * @property {string} title
 * @property {boolean} isSession  Whether it is a session that somebody shares.
 * @property {Signal} signal
 * @property {number} viewers
 * @property {number} intervalS   Seconds between captions.
 * @property {Caption | null} caption  The newest.
 * @property {Date | null} taken       When its picture was taken, by this device's clock.
 */

/** @param {unknown} value @returns {WatchableFeed[]}  One, or none when it is malformed. */
export function readFeed(value) {
  const feed = object(value);
  const name = text(feed.name);
  const signal = readSignal(feed.signal);
  if (name === '' || !signal) return [];
  const caption = readCaption(object(feed.caption));
  return [
    {
      name,
      title: text(feed.title) || name,
      isSession: feed.kind === 'session',
      signal,
      viewers: Math.max(0, number(feed.viewers, 0)),
      intervalS: number(feed.interval_s, 2),
      caption,
      taken: caption && takenAt(caption),
    },
  ];
}

/**
 * The server's clock may be another: the age is what counts.
 *
 * @param {Caption} caption  That has just come.
 */
export function takenAt({ age_ms }) {
  return new Date(Date.now() - age_ms);
}

/** @param {number} count @returns {string}  Such as "2 watch"; empty for nobody. */
export function viewersText(count) {
  if (count === 0) return '';
  return count === 1 ? '1 watches' : `${count} watch`;
}
