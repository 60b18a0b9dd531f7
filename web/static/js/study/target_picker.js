// @ts-check
/**
 * The choice of what to explain in a frozen frame: each word, the caption and each tag as a radio
 * button with a small heat map.
 */

import { underline, wordOfTag } from '../captions/caption.js';
import { wordLabel, wordStanding } from '../captions/caption_text.js';
import { createButton, createElement, englishText, indexAfterKey } from '../common/dom.js';
import { gettext, pgettext } from '../common/i18n.js';
import { MappedImage } from '../heatmaps/map_canvas.js';
import { describeByMap } from '../heatmaps/map_location.js';

/** @typedef {import('../captions/caption.js').Caption} Caption */
/** @typedef {import('../captions/caption.js').Word} Word */
/** @typedef {import('../heatmaps/heat_map.js').HeatMap} HeatMap */
/** @typedef {import('../heatmaps/map_canvas.js').Size} Size */
/** @typedef {import('../session/explanation_messages.js').Target} Target */
/**
 * A target with what the page shows of it.
 *
 * @typedef {object} TargetInfo
 * @property {Target} target
 * @property {string} name
 * @property {Word | null} word  A word, or a tag as a word; null for the caption as a whole.
 */
/**
 * @typedef {object} Tile
 * @property {TargetInfo} info
 * @property {HTMLButtonElement} button
 * @property {MappedImage} image
 * @property {HTMLElement} strength
 */

const MAX_SIDE = 320;

/**
 * @param {Caption} caption
 * @returns {TargetInfo[]}  Its words, the caption as a whole, its tags.
 */
export function targetsOf({ words, tags }) {
  return [
    ...words.map((word, index) => ({
      target: { kind: /** @type {const} */ ('word'), index },
      name: word.text,
      word,
    })),
    { target: { kind: /** @type {const} */ ('caption') }, name: gettext('caption'), word: null },
    ...tags.map((tag) => ({
      target: { kind: /** @type {const} */ ('tag'), text: tag.text },
      name: tag.text,
      word: wordOfTag(tag),
    })),
  ];
}

export class TargetPicker {
  #group;
  #onSelect;
  /** @type {Tile[]} */
  #tiles = [];

  /**
   * @param {HTMLElement} group
   * @param {(target: TargetInfo) => void} onSelect
   */
  constructor(group, onSelect) {
    this.#group = group;
    this.#onSelect = onSelect;
    group.addEventListener('keydown', (event) => this.#selectByKey(event));
  }

  /**
   * @param {TargetInfo[]} targets
   * @param {Size} size  Of the frame.
   */
  show(targets, size) {
    this.#tiles = targets.map((info) => createTile(info, size));
    for (const { info, button } of this.#tiles) {
      button.addEventListener('click', () => this.select(info));
    }
    this.#group.replaceChildren(...this.#tiles.map(({ button }) => button));
  }

  /** @param {HTMLImageElement} image */
  set image(image) {
    for (const tile of this.#tiles) tile.image.image = image;
  }

  /** @param {number} index @param {HeatMap} map */
  setMap(index, map) {
    const tile = this.#tiles[index];
    if (!tile) return;
    tile.image.map = map;
    describeByMap(tile.button, map);
  }

  /**
   * @param {number} index
   * @param {number | null} strength  Of its map relative to the strongest word's, 0 to 1.
   */
  setStrength(index, strength) {
    this.#tiles[index]?.strength.style.setProperty('--strength', String(strength ?? 0));
  }

  clear() {
    this.#tiles = [];
    this.#group.replaceChildren();
  }

  /** @param {TargetInfo} selected */
  select(selected) {
    for (const { info, button } of this.#tiles) {
      const isSelected = info.target === selected.target;
      button.setAttribute('aria-checked', String(isSelected));
      button.tabIndex = isSelected ? 0 : -1;
    }
    this.#onSelect(selected);
  }

  /** Focuses the selected tile. */
  focus() {
    const selected = this.#tiles.find(({ button }) => button.tabIndex === 0);
    selected?.button.focus();
    selected?.button.scrollIntoView({ block: 'nearest', inline: 'nearest' });
  }

  /** @param {KeyboardEvent} event */
  #selectByKey(event) {
    const index = this.#tiles.findIndex(({ button }) => button === event.target);
    const next = indexAfterKey(event.key, index, this.#tiles.length, { vertical: true });
    const tile = next === null ? undefined : this.#tiles[next];
    if (index < 0 || !tile) return;
    event.preventDefault();
    this.select(tile.info);
    this.focus();
  }
}

/**
 * @param {TargetInfo} info
 * @param {Size} size
 * @returns {Tile}
 */
function createTile(info, size) {
  const { target, name, word } = info;
  const image = new MappedImage(size, MAX_SIDE);
  const strength = createElement('span', 'strength');
  const label = createElement('span', 'tile-name', word ? englishText(name) : name);
  const share = createElement('span', 'tile-share');
  if (word) {
    label.classList.add('sample');
    underline(label, word);
    share.textContent = word.rank
      ? pgettext('rank', '{place}.', { place: word.rank.place })
      : wordStanding(word);
  }
  const button = createButton('', 'tile');
  button.append(image.element, strength, label, ' ', share);
  button.dataset.kind = target.kind;
  button.setAttribute('role', 'radio');
  button.setAttribute('aria-label', tileLabel(info));
  return { info, button, image, strength };
}

/** @param {TargetInfo} info */
function tileLabel({ target, word }) {
  if (word === null) return gettext('whole caption');
  return target.kind === 'tag'
    ? gettext('object {word}', { word: wordLabel(word) })
    : wordLabel(word);
}

/**
 * @param {TargetInfo} info
 * @param {string | null} contrast  The word to contrast it with, if any.
 * @returns {string}  To name its map by.
 */
export function targetName({ name, target }, contrast) {
  if (target.kind === 'caption') return gettext('the whole caption');
  return contrast === null
    ? gettext('“{word}”', { word: name })
    : gettext('“{word}” instead of “{contrast}”', { word: name, contrast });
}
