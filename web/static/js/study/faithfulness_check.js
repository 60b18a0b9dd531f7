// @ts-check
/**
 * The faithfulness check of a word's map: a verdict, then the word's probability after the top of the
 * map is blanked, and after the same region elsewhere is, then what the verdict rests on.
 */

import { createElement, englishText, screenReaderText } from '../common/dom.js';
import { fixedText, numberText, percent } from '../common/format.js';
import { gettext, gettextNodes, pgettext } from '../common/i18n.js';

/** @typedef {import('../session/explanation_messages.js').Checked} Checked */
/**
 * A button below the check.
 *
 * @typedef {object} Offer
 * @property {string} label
 * @property {() => void} onClick
 */

/** @type {Record<Checked['verdict'], string>} */
const VERDICT_TEXTS = {
  'holds up': pgettext('verdict', 'Holds up'),
  fails: pgettext('verdict', 'Fails'),
  'cannot tell': pgettext('verdict', 'Can’t tell'),
  'cannot be checked': pgettext('verdict', 'Can’t be checked'),
};

export class FaithfulnessCheck {
  #elements;
  /** @type {() => void} */
  #onClick = () => {};

  /**
   * @param {object} elements
   * @param {HTMLElement} elements.section
   * @param {HTMLElement} elements.verdict  Part of the section's heading.
   * @param {HTMLElement} elements.scale    For what the bars show.
   * @param {HTMLElement} elements.bars     A `<dl>`.
   * @param {HTMLElement} elements.sentence
   * @param {HTMLButtonElement} elements.button
   */
  constructor(elements) {
    this.#elements = elements;
    elements.button.addEventListener('click', () => this.#onClick());
  }

  /**
   * Shows why there is no result, or not yet.
   *
   * @param {Node | string} text
   * @param {Offer | null} [offer]
   */
  showMessage(text, offer = null) {
    const { bars, button, scale, sentence, verdict } = this.#elements;
    verdict.textContent = scale.textContent = '';
    sentence.replaceChildren(text);
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
    const { bars, scale, verdict } = this.#elements;
    this.showMessage(createElement('span', '', ...reasonNodes(word, checked)), offer);
    verdict.textContent = VERDICT_TEXTS[checked.verdict];
    verdict.dataset.verdict = checked.verdict;
    const subject = { word: englishText(word) };
    scale.replaceChildren(
      ...(isCalibrated
        ? gettextNodes('Probability of “{word}” as the next word:', subject)
        : gettextNodes('Score of “{word}”, relative to the original frame:', subject)),
    );
    const { prob, blanked, elsewhere } = isCalibrated ? checked : relativeToOriginal(checked);
    const text = isCalibrated ? percent : ratioText;
    const longest = isCalibrated ? 1 : Math.max(prob, blanked, elsewhere?.[2] ?? 0);
    const bar = (/** @type {string} */ label, /** @type {number} */ value) =>
      createBar(label, value / longest, text(value));
    bars.append(
      bar(gettext('Original frame'), prob),
      bar(gettext('Map’s top {percent} blanked', { percent: percent(checked.share) }), blanked),
    );
    if (elsewhere === null) return;
    const [lowest, median, highest] = elsewhere;
    const range = {
      lowest: lowest / longest,
      highest: highest / longest,
      text: gettext('({lowest} to {highest})', { lowest: text(lowest), highest: text(highest) }),
    };
    const elsewhereLabel = gettext('Blanked elsewhere');
    bars.append(createBar(elsewhereLabel, median / longest, text(median), range));
  }

  /** @param {boolean} isOffered  Whether maps of this captioner can be checked. */
  set isOffered(isOffered) {
    this.#elements.section.hidden = !isOffered;
  }
}

/**
 * @param {string} word
 * @param {Checked} checked
 * @returns {(Node | string)[]}  The verdict and what it rests on.
 */
export function checkNodes(word, checked) {
  const verdict = gettext('{verdict}.', { verdict: VERDICT_TEXTS[checked.verdict] });
  return [verdict, ' ', ...reasonNodes(word, checked)];
}

/**
 * @param {string} word
 * @param {Checked} checked
 * @returns {(Node | string)[]}  Why it has its verdict.
 */
function reasonNodes(word, { verdict, p, prob, blanked, regions }) {
  const pValue = p === null || p < 0.005 ? `p < ${fixedText(0.01, 2)}` : `p = ${fixedText(p, 2)}`;
  const values = { word: englishText(word), p: pValue, regions: numberText(regions) };
  switch (verdict) {
    case 'holds up':
      return gettextNodes(
        '“{word}” depends on this region more than on others of its shape ({p}, {regions} compared).',
        values,
      );
    case 'fails':
      return gettextNodes(
        'In most of {regions} other places, a region of this shape matters as much to “{word}”, or more.',
        values,
      );
    case 'cannot tell':
      return blanked < prob
        ? gettextNodes(
            '“{word}” depends on this region, but not clearly more than on others of its shape ({p}, {regions} compared).',
            values,
          )
        : gettextNodes('Blanking this region does not make “{word}” less likely.', values);
    case 'cannot be checked':
      return [gettext('The captioner’s grid has too few other places for a region of this size.')];
  }
}

/**
 * Divides the probabilities by that of the original frame.
 *
 * @param {Checked} checked
 * @returns {Pick<Checked, 'prob' | 'blanked' | 'elsewhere'>}
 */
function relativeToOriginal({ prob, blanked, elsewhere }) {
  const relative = (/** @type {number} */ other) => (prob > 0 ? other / prob : 0);
  const [lowest = 0, median = 0, highest = 0] = (elsewhere ?? []).map(relative);
  return {
    prob: 1,
    blanked: relative(blanked),
    elsewhere: elsewhere && [lowest, median, highest],
  };
}

/** @param {number} value  0 or more. */
function ratioText(value) {
  return `× ${fixedText(value, value < 10 ? 2 : 0)}`;
}

/**
 * @param {string} label
 * @param {number} share  0 to 1.
 * @param {string} text
 * @param {{lowest: number, highest: number, text: string}} [range]
 */
function createBar(label, share, text, range) {
  const track = createElement('span', 'bar-track');
  track.setAttribute('aria-hidden', 'true');
  track.style.setProperty('--share', String(share));
  const value = createElement('span', 'bar-value', text);
  if (range) {
    track.dataset.range = '';
    track.style.setProperty('--lowest', String(range.lowest));
    track.style.setProperty('--highest', String(range.highest));
    value.append(screenReaderText(` ${range.text}`));
  }
  return createElement(
    'div',
    '',
    createElement('dt', 'bar-label', label),
    createElement('dd', '', track, value),
  );
}
