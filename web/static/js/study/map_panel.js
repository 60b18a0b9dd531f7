// @ts-check
/** A large frame with one heat map, its legend, and the progress while it is computed. */

import { createButton, createElement } from '../common/dom.js';
import { sentence, timeLeftText, wholePercent } from '../common/format.js';
import { gettext } from '../common/i18n.js';
import { MappedImage } from '../heatmaps/map_canvas.js';
import { MapLegend, strengthText } from '../heatmaps/map_legend.js';
import { locationText } from '../heatmaps/map_location.js';
import { serverNode } from '../session/server_texts.js';

/** @typedef {import('../heatmaps/heat_map.js').HeatMap} HeatMap */
/** @typedef {import('../heatmaps/map_canvas.js').Size} Size */
/** @typedef {import('../session/explanation_messages.js').Progress} Progress */
/** @typedef {import('../session/model.js').Method} Method */

const MAX_SIDE = 1280;

export class MapPanel {
  #image;
  #legend;
  #location = createElement('p', 'map-location');
  #note = createElement('p', 'map-note');
  #remark = createElement('p', '');
  #bar = createElement('progress', '');
  #button = createButton('', 'button');
  #work = createElement('div', 'work', this.#remark, this.#bar, this.#button);
  #caption;
  /** The latest step with a name. */
  #doing = '';
  /** @type {() => void} */
  #onClick = () => {};
  element;

  /** @param {Size} size  Of the frame. */
  constructor(size) {
    this.#image = new MappedImage(size, MAX_SIDE);
    this.#image.element.setAttribute('role', 'img');
    const legend = createElement('div', 'legend-of-map');
    this.#legend = new MapLegend(legend);
    this.#button.addEventListener('click', () => this.#onClick());
    const parts = [legend, this.#location, this.#note, this.#work];
    this.#caption = createElement('figcaption', '', ...parts);
    this.element = createElement('figure', 'map-panel', this.#image.element, this.#caption);
  }

  /** Adds elements above the legend. @param {...HTMLElement} elements */
  prepend(...elements) {
    this.#caption.prepend(...elements);
  }

  /** @param {HTMLImageElement} image */
  set image(image) {
    this.#image.image = image;
  }

  /**
   * @param {Method} method
   * @param {string} target  What the map explains.
   * @param {HeatMap} map
   * @param {number | null} strength  Relative to the strongest word, 0 to 1.
   */
  showMap(method, target, map, strength) {
    const where = this.#draw(method, map, strength);
    this.#location.textContent = sentence(gettext('{place}.', { place: where }));
    const values = { target, method: method.title, place: where };
    this.#setLabel(
      strength === null
        ? gettext('Frame with the map of {target} by {method}: {place}', values)
        : gettext('Frame with the map of {target} by {method}: {place}; {strength}', {
            ...values,
            strength: strengthText(strength),
          }),
    );
    this.#note.replaceChildren(serverNode(map.note));
    this.#note.hidden = map.note === '';
    this.#work.hidden = true;
    this.element.dataset.state = 'shown';
  }

  /**
   * Draws a rough map, while it is being refined.
   *
   * @param {Method} method
   * @param {string} target  What the map explains.
   * @param {HeatMap} map
   */
  showRoughMap(method, target, map) {
    const where = this.#draw(method, map, null);
    this.#location.textContent = gettext('So far {place}.', { place: where });
    const values = { target, method: method.title, place: where };
    this.#setLabel(gettext('Frame with a rough map of {target} by {method}: {place}', values));
  }

  /**
   * @param {Method} method
   * @param {() => void} onCancel
   */
  showComputing(method, onCancel) {
    this.#clearMap();
    this.#doing = '';
    this.#bar.hidden = false;
    this.#bar.removeAttribute('value');
    this.#bar.setAttribute('aria-label', method.title);
    const remark = gettext('Computing {method}…', { method: method.title });
    this.#showWork(remark, gettext('Cancel'), onCancel);
    this.element.dataset.state = 'working';
  }

  /** @param {Method} method @param {Progress} progress */
  setProgress({ title }, { done, left_s, doing }) {
    this.#bar.value = done;
    const values = { method: title, percent: wholePercent(done) };
    const text =
      left_s === null
        ? gettext('{method}: {percent}.', values)
        : gettext('{method}: {percent}, {left}.', { ...values, left: timeLeftText(left_s) });
    if (doing !== '') {
      const step = gettext('{step}.', { step: doing });
      this.#doing = ` ${sentence(step)}`;
    }
    this.#remark.textContent = text + this.#doing;
  }

  /**
   * Shows why there is no map, and a button that requests one.
   *
   * @param {Node | string} remark
   * @param {string} label  Of the button; empty for none.
   * @param {() => void} onClick
   */
  showOffer(remark, label, onClick) {
    this.#clearMap();
    this.#bar.hidden = true;
    this.#showWork(remark, label, onClick);
    this.element.dataset.state = 'offered';
  }

  #clearMap() {
    this.#image.map = null;
    this.#legend.hide();
    this.#location.hidden = this.#note.hidden = true;
    this.#setLabel(gettext('Frame without a map'));
  }

  /**
   * @param {Method} method
   * @param {HeatMap} map
   * @param {number | null} strength  Relative to the strongest word, 0 to 1.
   * @returns {string}  Where the map is.
   */
  #draw(method, map, strength) {
    this.#image.map = map;
    this.#legend.show(method, map, strength);
    this.#location.hidden = false;
    return locationText(map);
  }

  /** @param {string} label */
  #setLabel(label) {
    this.#image.element.setAttribute('aria-label', label);
  }

  /**
   * @param {Node | string} remark
   * @param {string} label
   * @param {() => void} onClick
   */
  #showWork(remark, label, onClick) {
    this.#work.hidden = false;
    this.#remark.replaceChildren(remark);
    this.#button.hidden = label === '';
    this.#button.textContent = label;
    this.#onClick = onClick;
  }
}
