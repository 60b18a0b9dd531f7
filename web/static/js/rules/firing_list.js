// @ts-check
/** Firings of rules as list items: when, which rule, on which feed, and the message. */

import { createElement, englishText } from '../common/dom.js';
import { durationText, timeText } from '../common/format.js';
import { gettext } from '../common/i18n.js';

/** @typedef {import('./rules_api.js').Firing} Firing */

/**
 * @param {Firing} firing
 * @param {string} feed  The title of its feed.
 */
export function firingItem(firing, feed) {
  const time = createElement('time', '', timeText(firing.began));
  time.dateTime = firing.began.toISOString();
  const message = createElement('p', 'message', englishText(firing.message));
  const facts = [firing.rule, feed, lastingText(firing)].join(' · ');
  return createElement('li', '', time, message, createElement('p', 'facts', facts));
}

/** @param {Firing} firing */
function lastingText({ began, ended }) {
  if (ended === null) return gettext('still on');
  const seconds = Math.max(0, (ended.getTime() - began.getTime()) / 1000);
  return gettext('for {duration}', { duration: durationText(seconds) });
}
