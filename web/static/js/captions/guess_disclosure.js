// @ts-check
/** The full caption whose confidence is too low, shown on demand. */

import { setText } from '../common/dom.js';
import { gettext } from '../common/i18n.js';

const HELD_BACK = gettext('Show best guess');
const NOTHING_HELD_BACK = gettext('No other guess for this caption');

export class GuessDisclosure {
  #elements;
  #guess = '';

  /**
   * @param {object} elements
   * @param {HTMLElement} elements.row
   * @param {HTMLElement} elements.toggle  A button; it keeps its state from caption to caption.
   * @param {HTMLElement} elements.text
   */
  constructor(elements) {
    this.#elements = elements;
    elements.toggle.addEventListener('click', () => {
      const isOpen = elements.text.hidden;
      elements.text.hidden = !isOpen;
      elements.toggle.setAttribute('aria-expanded', String(isOpen));
    });
    elements.toggle.addEventListener('blur', () => this.show(this.#guess));
  }

  /** @param {string} guess  Empty for none. */
  show(guess) {
    const { row, toggle, text } = this.#elements;
    this.#guess = guess;
    // A keyboard user on the button must not lose the focus to a caption without a guess.
    row.hidden = guess === '' && !toggle.matches(':focus-visible');
    setText(toggle, guess === '' ? NOTHING_HELD_BACK : HELD_BACK);
    text.textContent = guess === '' ? '' : `“${guess}”`;
  }
}
