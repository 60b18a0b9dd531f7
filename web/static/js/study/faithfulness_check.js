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
   * @param {HTMLElement} elements.section
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

  /**
   * @param {string} word
   * @param {Checked} checked
   * @param {boolean} isCalibrated  Whether its probabilities are calibrated.
   */
  showResult(word, checked, isCalibrated) {
    const { prob, blanked, random } = isCalibrated ? checked : relativeToOriginal(checked);
    const [lowest, median, highest] = random;
    const text = isCalibrated ? percent : ratioText;
    const scale = isCalibrated ? 1 : Math.max(prob, blanked, highest);
    const bar = (/** @type {string} */ label, /** @type {number} */ value) =>
      createBar(label, value / scale, text(value));
    const range = { lowest: lowest / scale, highest: highest / scale };
    this.showMessage(checkText(word, checked, isCalibrated));
    this.#elements.bars.replaceChildren(
      bar('Original frame', prob),
      bar('Region blanked', blanked),
      createBar('Random region', median / scale, text(median), range),
    );
  }

  /** @param {boolean} isOffered  Whether maps of this captioner can be checked. */
  set isOffered(isOffered) {
    this.#elements.section.hidden = !isOffered;
  }
}

/**
 * @param {string} word
 * @param {Checked} checked
 * @param {boolean} isCalibrated  Whether its probabilities are calibrated.
 */
export function checkText(word, checked, isCalibrated) {
  const { share, prob, blanked, random } = isCalibrated ? checked : relativeToOriginal(checked);
  const [lowest, median, highest] = random;
  if (!isCalibrated) {
    return (
      `With the top ${percent(share)} of the map blanked, the score of “${word}” is multiplied by ` +
      `${ratio(blanked)}. With a random region of the same size blanked, it is multiplied by ` +
      `${ratio(median)} (${ratio(lowest)} to ${ratio(highest)}).`
    );
  }
  return (
    `With the top ${percent(share)} of the map blanked, “${word}” goes from ${percent(prob)} to ` +
    `${percent(blanked)}. With a random region of the same size blanked, it goes to ` +
    `${percent(median)} (${percent(lowest)} to ${percent(highest)}).`
  );
}

/**
 * Divides the probabilities by that of the original frame.
 *
 * @param {Checked} checked
 * @returns {Pick<Checked, 'share' | 'prob' | 'blanked' | 'random'>}
 */
function relativeToOriginal({ share, prob, blanked, random: [lowest, median, highest] }) {
  const relative = (/** @type {number} */ other) => (prob > 0 ? other / prob : 0);
  return {
    share,
    prob: 1,
    blanked: relative(blanked),
    random: [relative(lowest), relative(median), relative(highest)],
  };
}

/** @param {number} value  0 or more. */
function ratio(value) {
  return value.toFixed(value < 10 ? 2 : 0);
}

/** @param {number} value */
function ratioText(value) {
  return `× ${ratio(value)}`;
}

/**
 * @param {string} label
 * @param {number} share  0 to 1.
 * @param {string} text
 * @param {{lowest: number, highest: number}} [range]
 */
function createBar(label, share, text, range) {
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
    createElement('span', 'bar-value', text),
  );
}
