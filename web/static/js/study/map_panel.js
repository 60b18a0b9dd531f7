// @ts-check
/** The large picture with one map, how it was made, and the work while it is being made. */

import { Legend, strengthText } from './legend.js';
import { Pane } from './pane.js';
import { whereText } from './whereabouts.js';

/** @typedef {import('./map.js').PictureMap} PictureMap */
/** @typedef {import('./pane.js').Shape} Shape */
/** @typedef {import('./protocol.js').Method} Method */
/** @typedef {import('./protocol.js').Progress} Progress */

const LONGEST_SIDE = 1280;

export class Panel {
  element = document.createElement('figure');
  #pane;
  #legend;
  #where = document.createElement('p');
  #work = document.createElement('div');
  #remark = document.createElement('p');
  #bar = document.createElement('progress');
  #button = document.createElement('button');
  /** @type {() => void} */
  #act = () => {};

  /** @param {Shape} shape  Of the picture. */
  constructor(shape) {
    this.#pane = new Pane(shape, LONGEST_SIDE);
    this.#pane.element.setAttribute('role', 'img');
    const legend = document.createElement('div');
    legend.className = 'legend-of-map';
    this.#legend = new Legend(legend);
    this.#where.className = 'where';
    this.#work.className = 'work';
    this.#button.type = 'button';
    this.#button.className = 'button';
    this.#button.addEventListener('click', () => this.#act());
    this.#work.append(this.#remark, this.#bar, this.#button);
    const caption = document.createElement('figcaption');
    caption.append(legend, this.#where, this.#work);
    this.element.className = 'panel';
    this.element.append(this.#pane.element, caption);
  }

  /** @param {HTMLImageElement} image */
  set picture(image) {
    this.#pane.picture = image;
  }

  /**
   * @param {Method} method
   * @param {string} name  What is explained.
   * @param {PictureMap} map
   * @param {number | null} strength  Against the strongest word's, 0 to 1.
   */
  showMap(method, name, map, strength) {
    this.#pane.map = map;
    this.#legend.show(method, map, strength);
    const where = whereText(map);
    this.#where.textContent = `${where[0].toUpperCase()}${where.slice(1)}.`;
    const share = strength === null ? '' : `; ${strengthText(strength)}`;
    this.#label(`The picture with the map of ${name} by ${method.title}: ${where}${share}`);
    this.#work.hidden = true;
    this.#where.hidden = false;
    this.element.dataset.state = 'shown';
  }

  /**
   * @param {Method} method
   * @param {() => void} cancel
   */
  showWork(method, cancel) {
    this.#clear(`The picture; ${method.title} is at work on it`);
    this.#bar.hidden = false;
    this.#bar.removeAttribute('value');
    this.#bar.setAttribute('aria-label', method.title);
    this.#setWork(`${method.title} is at work.`, 'Cancel', cancel);
    this.element.dataset.state = 'working';
  }

  /** @param {Method} method @param {Progress} progress */
  setProgress({ title }, { done, left_s }) {
    this.#bar.value = done;
    const left = left_s === null ? '' : `, ${leftText(left_s)} left`;
    this.#remark.textContent = `${title}: ${Math.round(done * 100)}%${left}.`;
  }

  /**
   * @param {string} remark
   * @param {string} label  Of the button; empty for none.
   * @param {() => void} act
   */
  showOffer(remark, label, act) {
    this.#clear('The picture');
    this.#bar.hidden = true;
    this.#setWork(remark, label, act);
    this.element.dataset.state = 'offered';
  }

  /** @param {string} label */
  #clear(label) {
    this.#pane.map = null;
    this.#legend.hide();
    this.#where.hidden = true;
    this.#label(label);
  }

  /** @param {string} text */
  #label(text) {
    this.#pane.element.setAttribute('aria-label', text);
  }

  /**
   * @param {string} remark
   * @param {string} label
   * @param {() => void} act
   */
  #setWork(remark, label, act) {
    this.#work.hidden = false;
    this.#remark.textContent = remark;
    this.#button.hidden = label === '';
    this.#button.textContent = label;
    this.#act = act;
  }
}

/** @param {number} seconds */
function leftText(seconds) {
  return seconds < 1 ? 'less than a second' : `about ${Math.ceil(seconds)} s`;
}
