// @ts-check
/**
 * The faithfulness check of a word's map: the word's probability after the top of the map is
 * blanked, and after random regions of equal size are.
 */

import { createElement } from '../common/dom.js';
import { percent } from '../common/format.js';

/** @typedef {import('../session/explanation_messages.js').Checked} Checked */

export class FaithfulnessCheck {
  #elements;
  /** @type {() => void} */
  #onClick = () => {};

  /**
   * @param {object} elements
   * @param {HTMLElement} elements.sentence
   * @param {HTMLElement} elements.bars
   * @param {HTMLButtonElement} elements.button
   */
  constructor(elements) {
    this.#elements = elements;
    elements.button.addEventListener('click', () => this.#onClick());
  }

  /**
   * Shows why there is no result, or not yet.
   *
   * @param {string} text
   * @param {string} [label]  Of a button that requests one; empty for none.
   * @param {() => void} [onClick]
   */
  showMessage(text, label = '', onClick = () => {}) {
    const { bars, button, sentence } = this.#elements;
    sentence.textContent = text;
    bars.replaceChildren();
    button.hidden = label === '';
    button.textContent = label;
    this.#onClick = onClick;
  }

  /** @param {string} word @param {Checked} checked */
  showResult(word, checked) {
    const { prob, blanked, random } = checked;
    const [lowest, median, highest] = random;
    this.showMessage(checkText(word, checked));
    this.#elements.bars.replaceChildren(
      createBar('Original frame', prob),
      createBar('Region blanked', blanked),
      createBar('Random region', median, { lowest, highest }),
    );
  }
}

/** @param {string} word @param {Checked} checked */
export function checkText(word, { share, prob, blanked, random: [lowest, median, highest] }) {
  return (
    `With the top ${percent(share)} of the map blanked, “${word}” goes from ${percent(prob)} to ` +
    `${percent(blanked)}. With a random region of the same size blanked, it goes to ` +
    `${percent(median)} (${percent(lowest)} to ${percent(highest)}).`
  );
}

/**
 * @param {string} label
 * @param {number} share  0 to 1.
 * @param {{lowest: number, highest: number}} [range]
 */
function createBar(label, share, range) {
  const track = createElement('span', 'bar-track');
  track.style.setProperty('--share', String(share));
  if (range) {
    track.dataset.range = '';
    track.style.setProperty('--lowest', String(range.lowest));
    track.style.setProperty('--highest', String(range.highest));
  }
  return createElement(
    'div',
    '',
    createElement('span', 'bar-label', label),
    track,
    createElement('span', 'bar-value', percent(share)),
  );
}
