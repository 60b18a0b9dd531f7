// @ts-check
/** Firings of rules as list items: picture, when, which rule, on which feed, and the message. */

import { createElement, englishText } from '../common/dom.js';
import { durationText, timeElement, timeText } from '../common/format.js';
import { gettext } from '../common/i18n.js';
import { pictureButton } from '../history/picture_button.js';

/** @typedef {import('./rules_api.js').Firing} Firing */

/**
 * @param {Firing} firing
 * @param {string} feed  The title of its feed.
 * @param {() => void} [onPicture]  Its picture was selected; without, it is not shown.
 */
export function firingItem(firing, feed, onPicture) {
  const time = timeElement(firing.began, timeText(firing.began));
  const message = createElement('p', 'message', englishText(firing.message));
  const facts = [firing.rule, feed, lastingText(firing)].join(' · ');
  const item = createElement('li', '', time, message, createElement('p', 'facts', facts));
  if (onPicture && firing.picture !== '') {
    item.prepend(pictureButton(firing.picture, firing.caption, onPicture));
  }
  return item;
}

/** @param {Firing} firing */
function lastingText({ began, ended }) {
  if (ended === null) return gettext('still on');
  const seconds = Math.max(0, (ended.getTime() - began.getTime()) / 1000);
  return gettext('for {duration}', { duration: durationText(seconds) });
}
