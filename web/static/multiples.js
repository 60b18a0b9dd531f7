// @ts-check
/** All that can be explained of a frozen picture, side by side, each with its map; one is chosen. */

import { certaintyBand, percent } from './certainty.js';
import { Pane } from './pane.js';
import { whereText } from './whereabouts.js';

/** @typedef {import('./map.js').PictureMap} PictureMap */
/** @typedef {import('./pane.js').Shape} Shape */
/** @typedef {import('./protocol.js').Target} Target */
/**
 * @typedef {object} Subject
 * @property {Target} target
 * @property {string} name
 * @property {number | null} prob  Null for the caption as a whole.
 * @property {import('./protocol.js').Alternative[]} alternatives  To a word.
 */
/** @typedef {Subject & {button: HTMLButtonElement, pane: Pane, strength: HTMLElement}} Tile */

const LONGEST_SIDE = 320;

export class Multiples {
  #group;
  #onChosen;
  /** @type {Tile[]} */
  #tiles = [];

  /**
   * @param {HTMLElement} group
   * @param {(subject: Subject) => void} onChosen
   */
  constructor(group, onChosen) {
    this.#group = group;
    this.#onChosen = onChosen;
    group.addEventListener('keydown', (event) => this.#move(event));
  }

  /**
   * @param {Subject[]} subjects
   * @param {Shape} shape  Of the picture.
   */
  show(subjects, shape) {
    this.#tiles = subjects.map((subject) => newTile(subject, shape));
    for (const tile of this.#tiles) {
      tile.button.addEventListener('click', () => this.choose(tile));
    }
    this.#group.replaceChildren(...this.#tiles.map(({ button }) => button));
  }

  /** @param {HTMLImageElement} image */
  set picture(image) {
    for (const { pane } of this.#tiles) pane.picture = image;
  }

  /** @param {number} index @param {PictureMap} map */
  setMap(index, map) {
    const tile = this.#tiles[index];
    if (!tile) return;
    tile.pane.map = map;
    tile.button.setAttribute('aria-description', `what spoke for it: ${whereText(map)}`);
  }

  /**
   * @param {number} index
   * @param {number | null} strength  Of its map against the strongest word's, 0 to 1.
   */
  setStrength(index, strength) {
    this.#tiles[index]?.strength.style.setProperty('--strength', String(strength ?? 0));
  }

  clear() {
    this.#tiles = [];
    this.#group.replaceChildren();
  }

  /** @param {Subject} chosen */
  choose(chosen) {
    for (const { target, button } of this.#tiles) {
      const isChosen = target === chosen.target;
      button.setAttribute('aria-checked', String(isChosen));
      button.tabIndex = isChosen ? 0 : -1;
    }
    this.#onChosen(chosen);
  }

  focus() {
    const chosen = this.#tiles.find(({ button }) => button.tabIndex === 0);
    chosen?.button.focus();
    chosen?.button.scrollIntoView({ block: 'nearest', inline: 'nearest' });
  }

  /** @param {KeyboardEvent} event */
  #move(event) {
    const at = this.#tiles.findIndex(({ button }) => button === event.target);
    const last = this.#tiles.length - 1;
    const targets = {
      ArrowLeft: at - 1,
      ArrowUp: at - 1,
      ArrowRight: at + 1,
      ArrowDown: at + 1,
      Home: 0,
      End: last,
    };
    const target = targets[/** @type {keyof typeof targets} */ (event.key)];
    if (at < 0 || target === undefined) return;
    event.preventDefault();
    this.choose(this.#tiles[Math.min(last, Math.max(0, target))]);
    this.focus();
  }
}

/**
 * @param {Subject} subject
 * @param {Shape} shape
 * @returns {Tile}
 */
function newTile(subject, shape) {
  const { target, name, prob } = subject;
  const button = document.createElement('button');
  button.type = 'button';
  button.className = 'tile';
  button.dataset.kind = target.kind;
  button.setAttribute('role', 'radio');
  const pane = new Pane(shape, LONGEST_SIDE);
  const [strength, label, share] = ['strength', 'tile-name', 'tile-share'].map((part) => {
    const element = document.createElement('span');
    element.className = part;
    return element;
  });
  label.textContent = name;
  if (prob !== null) {
    label.classList.add('sample');
    label.dataset.certainty = certaintyBand(prob);
    share.textContent = percent(prob);
  }
  const sure = prob === null ? '' : `, ${percent(prob)} sure`;
  const kind = target.kind === 'tag' ? 'object ' : '';
  button.setAttribute('aria-label', `${kind}${name}${sure}`);
  button.append(pane.element, strength, label, ' ', share);
  return { ...subject, button, pane, strength };
}
