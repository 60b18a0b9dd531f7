// @ts-check
/** What the colours of a map mean, in numbers: from 0 to its peak, by which method. */

import { percent } from './certainty.js';
import { isFine, topLevel } from './map.js';
import { rampGradient } from './ramp.js';

/** @typedef {import('./map.js').PictureMap} PictureMap */
/** @typedef {import('./protocol.js').Method} Method */

const CORNERS = ['top-end', 'top-start', 'bottom-end', 'bottom-start'];

export class Legend {
  #element;
  #title;
  #peak;
  #strength;

  /** @param {HTMLElement} element  Empty; is filled here. */
  constructor(element) {
    this.#element = element;
    this.#title = part('title');
    this.#peak = part('peak');
    this.#strength = part('strength');
    const [ramp, zero] = [part('ramp'), part('zero')];
    ramp.style.backgroundImage = rampGradient();
    zero.textContent = '0';
    element.append(this.#title, ramp, zero, this.#peak, this.#strength);
  }

  /**
   * @param {Pick<Method, 'title' | 'unit'>} method
   * @param {PictureMap} map
   * @param {number | null} strength  Against the caption's strongest word, 0 to 1.
   */
  show({ title, unit }, map, strength) {
    this.#title.textContent = title;
    const top = topLevel(map);
    const end = `${quantity((map.peak * top) / 255)} ${unit}`.trim();
    this.#peak.textContent = top < 255 ? `${end} and more` : end;
    this.#element.toggleAttribute('data-fine', isFine(map));
    this.#strength.textContent = strength === null ? '' : strengthText(strength);
    this.#element.hidden = false;
  }

  hide() {
    this.#element.hidden = true;
  }

  /** Moves to the first corner of the picture where it covers nothing that is strong. */
  dodge(/** @type {import('./map_canvas.js').MapCanvas} */ canvas) {
    const corners = CORNERS.map((corner) => {
      this.#element.dataset.corner = corner;
      return { corner, covered: canvas.highestUnder(this.#element.getBoundingClientRect()) };
    });
    const clear = corners.find(({ covered }) => covered < 0.5);
    const least = corners.reduce((one, other) => (other.covered < one.covered ? other : one));
    this.#element.dataset.corner = (clear ?? least).corner;
  }
}

/**
 * @param {PictureMap} map
 * @param {PictureMap[]} words  Maps of all words, by the same method.
 */
export function strengthAmong(map, words) {
  const strongest = Math.max(0, ...words.map(({ peak }) => peak));
  return strongest === 0 ? null : Math.min(1, map.peak / strongest);
}

/** @param {number} strength  Against the caption's strongest word, 0 to 1. */
export function strengthText(strength) {
  return strength === 1 ? 'the strongest word' : `${percent(strength)} of the strongest word`;
}

/** @param {string} name */
function part(name) {
  const element = document.createElement('span');
  element.className = `legend-${name}`;
  return element;
}

/** @param {number} value */
function quantity(value) {
  if (value === 0 || (value >= 0.01 && value < 10_000)) return String(Number(value.toPrecision(2)));
  const [digits, exponent] = value.toExponential(1).split('e');
  const raised = exponent.replace(/[+-\d]/g, (sign) => '⁰¹²³⁴⁵⁶⁷⁸⁹'[Number(sign)] ?? RAISED[sign]);
  return `${digits} × 10${raised}`;
}

/** @type {Record<string, string>} */
const RAISED = { '-': '⁻', '+': '' };
