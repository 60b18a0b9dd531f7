// @ts-check
/** The legend of a heat map: its method and its colour scale, from 0 to the peak with its unit. */

import { createElement } from '../common/dom.js';
import { fixedText, percent, significantText } from '../common/format.js';
import { gettext } from '../common/i18n.js';
import { colormapGradient } from './colormap.js';
import { isFine, topLevel } from './heat_map.js';

/** @typedef {import('./heat_map.js').HeatMap} HeatMap */

const SUPERSCRIPTS = '⁰¹²³⁴⁵⁶⁷⁸⁹';

export class MapLegend {
  #element;
  #title = createElement('span', 'legend-title');
  #peak = createElement('span', 'legend-peak');
  #strength = createElement('span', 'legend-strength');

  /** @param {HTMLElement} element  Empty. */
  constructor(element) {
    this.#element = element;
    const ramp = createElement('span', 'legend-ramp');
    ramp.style.backgroundImage = colormapGradient();
    const zero = createElement('span', 'legend-zero', '0');
    element.append(this.#title, ramp, zero, this.#peak, this.#strength);
  }

  /**
   * @param {{title: string, unit: string}} method
   * @param {HeatMap} map
   * @param {number | null} strength  Relative to the caption's strongest word, 0 to 1.
   */
  show({ title, unit }, map, strength) {
    this.#title.textContent = title;
    this.#peak.textContent = peakText(map, unit);
    this.#element.toggleAttribute('data-fine', isFine(map));
    this.#strength.textContent = strength === null ? '' : strengthText(strength);
    this.#element.hidden = false;
  }

  hide() {
    this.#element.hidden = true;
  }
}

/**
 * Returns the upper end of a map's colour scale.
 *
 * @param {HeatMap} map
 * @param {string} unit
 */
export function peakText(map, unit) {
  const top = topLevel(map);
  const end = `${valueText((map.peak * top) / 255)} ${unit}`.trim();
  return top < 255 ? gettext('{value} or more', { value: end }) : end;
}

/** @param {number} strength  Relative to the caption's strongest word, 0 to 1. */
export function strengthText(strength) {
  return strength === 1
    ? gettext('the strongest word')
    : gettext('{percent} of the strongest word', { percent: percent(strength) });
}

/** @param {number} value  Not negative. */
function valueText(value) {
  if (value === 0 || (value >= 0.01 && value < 10_000)) return significantText(value, 2);
  const [digits, exponent = ''] = value.toExponential(1).split('e');
  const raised = exponent
    .replace('-', '⁻')
    .replace('+', '')
    .replace(/\d/g, (digit) => SUPERSCRIPTS.charAt(Number(digit)));
  return `${fixedText(Number(digits), 1)} × 10${raised}`;
}
