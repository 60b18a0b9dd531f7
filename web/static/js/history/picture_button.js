// @ts-check
/** The small picture of a caption in a list, which opens the large one. */

import { createButton, createElement } from '../common/dom.js';
import { gettext } from '../common/i18n.js';

/**
 * @param {string} picture  URL of the picture.
 * @param {string} text  The caption.
 * @param {() => void} onSelect
 */
export function pictureButton(picture, text, onSelect) {
  const image = createElement('img', '');
  image.alt = text;
  image.lang = 'en';
  image.loading = 'lazy';
  image.decoding = 'async';
  image.src = picture;
  const button = createButton('', 'picture-button');
  button.title = gettext('Show the picture');
  // It may have been deleted since the list was loaded.
  image.addEventListener('error', () => button.remove());
  button.addEventListener('click', onSelect);
  button.append(image);
  return button;
}
