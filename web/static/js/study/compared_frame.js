// @ts-check
/**
 * Another frame with its caption, beside a frozen one: the map of one of its words, as far as it was
 * computed while the server had the frame.
 */

import { confidenceText } from '../captions/caption_text.js';
import { createElement } from '../common/dom.js';
import { timeWithSeconds } from '../common/format.js';
import { gettext } from '../common/i18n.js';
import { relativeStrength } from '../heatmaps/heat_map.js';
import { MapPanel } from './map_panel.js';
import { TargetPicker, targetName, targetsOf } from './target_picker.js';

/** @typedef {import('../session/model.js').Method} Method */
/** @typedef {import('./seen_frames.js').SeenFrame} SeenFrame */
/** @typedef {import('./target_picker.js').TargetInfo} TargetInfo */

const NO_MAP = gettext('This map was not computed while the server had the frame.');

export class ComparedFrame {
  #panel;
  #targets;
  #infos;
  /** The methods to show a map by, the first one that has it. @type {Method[]} */
  #methods = [];
  /** @type {TargetInfo | null} */
  #info = null;

  /** @param {SeenFrame} frame */
  constructor(frame) {
    const { caption, explanations, image, taken } = frame;
    this.frame = frame;
    this.#infos = targetsOf(caption);
    this.#panel = new MapPanel({ width: image.naturalWidth, height: image.naturalHeight });
    this.#panel.image = image;
    const time = gettext('Frame from {time}.', { time: timeWithSeconds(taken) });
    const facts = `${time} ${confidenceText(caption)}`;
    const words = createElement('div', 'word-picks');
    words.setAttribute('role', 'radiogroup');
    words.setAttribute('aria-label', gettext('What to explain in the compared frame'));
    this.#targets = new TargetPicker(words, (info) => {
      this.#info = info;
      this.#show();
    });
    this.#targets.show(this.#infos, caption.frame);
    this.#panel.prepend(createElement('p', 'frozen-facts', facts), words);
    const { maps } = caption;
    if (maps)
      explanations.mapsOfAllWords(maps.method).forEach((map, at) => this.#targets.setMap(at, map));
  }

  get element() {
    return this.#panel.element;
  }

  /**
   * Shows the same word as in the frozen frame, or the caption if it has no such word.
   *
   * @param {TargetInfo} info  Of the frozen frame.
   * @param {Method[]} methods  The selected one, and the one of the maps that come with captions.
   */
  follow({ target, name }, methods) {
    this.#methods = methods;
    const isSame = (/** @type {TargetInfo} */ other) =>
      other.target.kind === target.kind && other.name === name;
    const isCaption = (/** @type {TargetInfo} */ other) => other.target.kind === 'caption';
    const found = this.#infos.find(isSame) ?? this.#infos.find(isCaption);
    if (found) this.#targets.select(found);
  }

  #show() {
    const { explanations } = this.frame;
    const info = this.#info;
    if (info === null) return;
    for (const method of this.#methods) {
      const map = explanations.get(method.name, info.target);
      if (!map) continue;
      const isWord = info.target.kind === 'word';
      const words = isWord ? explanations.mapsOfAllWords(method.name) : [];
      this.#panel.showMap(method, targetName(info, null), map, relativeStrength(map, words));
      return;
    }
    this.#panel.showOffer(NO_MAP, '', () => {});
  }
}
