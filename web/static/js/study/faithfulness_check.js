// @ts-check
/**
 * The faithfulness check of a word's map: a verdict, and the word's probability after the top of the
 * map is blanked, and after the same region elsewhere is.
 */

import { createElement } from '../common/dom.js';
import { percent } from '../common/format.js';

/** @typedef {import('../session/explanation_messages.js').Checked} Checked */
/**
 * A button below the check.
 *
 * @typedef {object} Offer
 * @property {string} label
 * @property {() => void} onClick
 */

export class FaithfulnessCheck {
  #elements;
  /** @type {() => void} */
  #onClick = () => {};

  /**
   * @param {object} elements
   * @param {HTMLElement} elements.section
   * @param {HTMLElement} elements.verdict
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
   * @param {Offer | null} [offer]
   */
  showMessage(text, offer = null) {
    const { bars, button, sentence, verdict } = this.#elements;
    verdict.hidden = true;
    sentence.textContent = text;
    bars.replaceChildren();
    button.hidden = offer === null;
    button.textContent = offer?.label ?? '';
    this.#onClick = offer?.onClick ?? (() => {});
  }

  /**
   * @param {string} word
   * @param {Checked} checked
   * @param {boolean} isCalibrated  Whether its probabilities are calibrated.
   * @param {Offer | null} offer
   */
  showResult(word, checked, isCalibrated, offer) {
    const { bars, verdict } = this.#elements;
    this.showMessage(effectText(word, checked, isCalibrated), offer);
    verdict.hidden = false;
    verdict.textContent = verdictText(checked);
    verdict.dataset.verdict = checked.verdict;
    const { prob, blanked, elsewhere } = isCalibrated ? checked : relativeToOriginal(checked);
    const text = isCalibrated ? percent : ratioText;
    const scale = isCalibrated ? 1 : Math.max(prob, blanked, elsewhere?.[2] ?? 0);
    const bar = (/** @type {string} */ label, /** @type {number} */ value) =>
      createBar(label, value / scale, text(value));
    bars.append(bar('Original frame', prob), bar('Region blanked', blanked));
    if (elsewhere === null) return;
    const [lowest, median, highest] = elsewhere;
    const range = { lowest: lowest / scale, highest: highest / scale };
    bars.append(createBar('Region elsewhere', median / scale, text(median), range));
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
 * @returns {string}  The verdict and what it rests on.
 */
export function checkText(word, checked, isCalibrated) {
  return `${verdictText(checked)}. ${effectText(word, checked, isCalibrated)}`;
}

/** @param {Checked} checked */
function verdictText({ verdict, p }) {
  switch (verdict) {
    case 'holds up':
      return p === null || p < 0.005 ? 'Holds up (p < 0.01)' : `Holds up (p = ${p.toFixed(2)})`;
    case 'fails':
      return 'Fails';
    case 'cannot tell':
      return 'Can’t tell';
    case 'cannot be checked':
      return 'Can’t be checked';
  }
}

/**
 * @param {string} word
 * @param {Checked} checked
 * @param {boolean} isCalibrated  Whether its probabilities are calibrated.
 */
function effectText(word, checked, isCalibrated) {
  const { share, prob, blanked, elsewhere } = isCalibrated ? checked : relativeToOriginal(checked);
  const region = `With the top ${percent(share)} of the map blanked, `;
  const own = isCalibrated
    ? `${region}the probability of “${word}” as the next word goes from ${percent(prob)} to ${percent(blanked)}. `
    : `${region}the score of “${word}” is multiplied by ${ratio(blanked)}. `;
  if (elsewhere === null) return own + reasonText(checked);
  const [lowest, median, highest] = elsewhere.map(isCalibrated ? percent : ratio);
  const verb = isCalibrated ? 'goes to' : 'is multiplied by';
  return (
    `${own}With the same region blanked elsewhere, in ${checked.regions} places, it ${verb} ` +
    `${median} (${lowest} to ${highest}). ${reasonText(checked)}`
  );
}

/** @param {Checked} checked  @returns {string}  Why it has its verdict. */
function reasonText({ verdict, p, prob, blanked }) {
  switch (verdict) {
    case 'holds up':
      return `The map’s region stands out: ${percent(p ?? 0)} of all places do as much.`;
    case 'fails':
      return 'In most of these places it is as low as with the map’s region, or lower.';
    case 'cannot tell':
      return blanked < prob
        ? 'The map’s region stands out too little to call the map right, and too much to call it wrong.'
        : 'Blanking the map’s region does not lower it.';
    case 'cannot be checked':
      return 'The captioner’s grid has too few other places for a region of this size.';
  }
}

/**
 * Divides the probabilities by that of the original frame.
 *
 * @param {Checked} checked
 * @returns {Pick<Checked, 'share' | 'prob' | 'blanked' | 'elsewhere'>}
 */
function relativeToOriginal({ share, prob, blanked, elsewhere }) {
  const relative = (/** @type {number} */ other) => (prob > 0 ? other / prob : 0);
  const [lowest = 0, median = 0, highest = 0] = (elsewhere ?? []).map(relative);
  return {
    share,
    prob: 1,
    blanked: relative(blanked),
    elsewhere: elsewhere && [lowest, median, highest],
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
