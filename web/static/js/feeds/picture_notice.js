// @ts-check
/** Says on the page that pictures of feeds are stored, while the server's settings say so. */

/** @param {boolean} areStored */
export function showPictureNotice(areStored) {
  for (const element of document.querySelectorAll('[data-if-pictures]')) {
    element.toggleAttribute('hidden', !areStored);
  }
}
