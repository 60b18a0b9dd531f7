// @ts-check
/**
 * The offer to show the camera or the file directly while the server is busy: it then need not
 * return video. It is made once in a session.
 */

import { setText } from '../common/dom.js';
import { gettext } from '../common/i18n.js';

/** The load level at which captions come less often; at the next one, sessions are refused. */
const OFFERED_FROM_STEP = 3;

/** @type {Record<'camera' | 'file', string>} */
const OFFERS = {
  camera: gettext('The server is busy. Show your camera directly to make room.'),
  file: gettext('The server is busy. Show your file directly to make room.'),
};

export class DirectOffer {
  #elements;
  /** What can be shown directly; null if nothing can be. @type {'camera' | 'file' | null} */
  #input = null;
  #isDecided = false;

  /**
   * @param {object} elements
   * @param {HTMLElement} elements.offer
   * @param {HTMLElement} elements.text
   * @param {HTMLElement} elements.accept
   * @param {HTMLElement} elements.decline
   * @param {() => void} onAccepted
   */
  constructor(elements, onAccepted) {
    this.#elements = elements;
    elements.accept.addEventListener('click', () => {
      this.#decide();
      onAccepted();
    });
    elements.decline.addEventListener('click', () => this.#decide());
  }

  /** Begins a session. @param {'camera' | 'file' | null} input  What can be shown directly. */
  begin(input) {
    this.#input = input;
    this.#isDecided = false;
    this.#hide();
  }

  /**
   * @param {number} loadStep
   * @param {boolean} isDirect  Whether it is shown directly already.
   */
  update(loadStep, isDirect) {
    if (this.#isDecided || this.#input === null) return;
    if (isDirect || loadStep < OFFERED_FROM_STEP) {
      this.#hide();
      return;
    }
    this.#elements.offer.hidden = false;
    setText(this.#elements.text, OFFERS[this.#input]);
  }

  #decide() {
    this.#isDecided = true;
    this.#hide();
  }

  #hide() {
    this.#elements.offer.hidden = true;
    setText(this.#elements.text, '');
  }
}
