// @ts-check
/** How the video and its caption are shown: in full screen, and with which caption size. */

import { addFullScreenToggle } from '../common/full_screen.js';
import { preference, setPreference } from '../common/preferences.js';

const SIZE_PREFERENCE = 'captionSize';

export class ScreenControls {
  #size;

  /**
   * @param {object} elements
   * @param {HTMLElement} elements.screen      The video with its caption.
   * @param {HTMLElement} elements.fullscreen  The button.
   * @param {HTMLSelectElement} elements.size  Its values are percentages.
   */
  constructor({ screen, fullscreen, size }) {
    this.#size = size;
    addFullScreenToggle(fullscreen, screen);
    const stored = String(preference(SIZE_PREFERENCE));
    if ([...size.options].some(({ value }) => value === stored)) size.value = stored;
    size.addEventListener('change', () => this.#apply());
    this.#apply();
  }

  /** @param {number} steps  Positive for larger captions. */
  changeSize(steps) {
    const { options, selectedIndex } = this.#size;
    this.#size.selectedIndex = Math.min(options.length - 1, Math.max(0, selectedIndex + steps));
    this.#apply();
  }

  #apply() {
    const percent = Number(this.#size.value);
    document.documentElement.style.setProperty('--caption-scale', String(percent / 100));
    setPreference(SIZE_PREFERENCE, percent);
  }
}
