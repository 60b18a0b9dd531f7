// @ts-check
/** Full screen by a button; Esc leaves it, too. */

import { gettext } from './i18n.js';

const LABELS = { enter: gettext('Full screen'), leave: gettext('Exit full screen') };

/**
 * Makes a button show an element in full screen, and leave it. The button is hidden where the
 * browser allows none.
 *
 * @param {HTMLElement} button
 * @param {HTMLElement} element
 */
export function addFullScreenToggle(button, element) {
  button.hidden = !document.fullscreenEnabled;
  button.addEventListener('click', () => {
    if (document.fullscreenElement) document.exitFullscreen();
    else element.requestFullscreen().catch(() => {});
  });
  const showLabel = () => {
    const label = document.fullscreenElement === element ? LABELS.leave : LABELS.enter;
    button.setAttribute('aria-label', label);
    button.title = label;
  };
  document.addEventListener('fullscreenchange', showLabel);
  showLabel();
}
