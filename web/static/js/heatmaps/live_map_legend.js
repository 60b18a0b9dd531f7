// @ts-check
/**
 * The legend of the map over the live video, outside the video so that it covers nothing: whose map
 * it is with the colour scale, and the method with its figures behind a button.
 */

import { createElement, englishText, setNodes } from '../common/dom.js';
import { gettext, gettextNodes } from '../common/i18n.js';
import { colormapGradient } from './colormap.js';
import { isFine } from './heat_map.js';
import { peakText, strengthText } from './map_legend.js';

/** @typedef {import('./heat_map.js').HeatMap} HeatMap */
/** @typedef {{title: string, unit: string}} Method */

const MARGIN_PX = 8;

export class LiveMapLegend {
  #elements;
  #title = createElement('span', '');
  #ramp = createElement('span', 'legend-ramp');

  /**
   * @param {object} elements
   * @param {HTMLElement} elements.legend  Empty.
   * @param {HTMLElement} elements.toggle  The button that opens the popover.
   * @param {HTMLElement} elements.details  The popover.
   */
  constructor(elements) {
    this.#elements = elements;
    const { legend, toggle, details } = elements;
    this.#ramp.style.backgroundImage = colormapGradient();
    legend.append(this.#title, ' ', this.#ramp);
    details.addEventListener('toggle', () => placeAbove(details, toggle));
  }

  /** @param {Method | undefined} method  The one of the maps that come with captions. */
  set method(method) {
    this.#showDetails(method ? [methodText(method)] : []);
  }

  /**
   * @param {string | null} subject  The word or the object that the map is of; null for the caption.
   * @param {Method} method
   * @param {HeatMap} map
   * @param {number | null} strength  Relative to the caption's strongest word, 0 to 1.
   */
  show(subject, method, map, strength) {
    const { legend } = this.#elements;
    setNodes(
      this.#title,
      subject === null
        ? [gettext('Where the caption came from, weak to strong')]
        : gettextNodes('Where “{word}” came from, weak to strong', { word: englishText(subject) }),
    );
    legend.toggleAttribute('data-fine', isFine(map));
    legend.hidden = false;
    this.#showDetails([
      methodText(method),
      gettext('Scale: 0 to {peak}.', { peak: peakText(map, method.unit) }),
      strength === null
        ? ''
        : gettext('Strength: {strength}.', { strength: strengthText(strength) }),
    ]);
  }

  hide() {
    this.#elements.legend.hidden = true;
  }

  /** @param {string[]} sentences  Empty ones are not shown. */
  #showDetails(sentences) {
    const shown = sentences.filter((text) => text !== '');
    this.#elements.details.replaceChildren(...shown.map((text) => createElement('p', '', text)));
  }
}

/** @param {Method} method */
function methodText({ title, unit }) {
  return unit === ''
    ? gettext('Method: {method}.', { method: title })
    : gettext('Method: {method}. Unit: {unit}.', { method: title, unit });
}

/**
 * Places an open popover above a button, within the window.
 *
 * @param {HTMLElement} popover
 * @param {HTMLElement} button
 */
function placeAbove(popover, button) {
  const { left, top, bottom } = button.getBoundingClientRect();
  const { width, height } = popover.getBoundingClientRect();
  const above = top - height - MARGIN_PX;
  popover.style.top = `${above < 0 ? bottom + MARGIN_PX : above}px`;
  popover.style.left = `${Math.max(MARGIN_PX, Math.min(left, innerWidth - width - MARGIN_PX))}px`;
}
