// @ts-check
/**
 * The explanation of one target in a frozen frame: its map by the selected method, beside another
 * method's or another frame's, against an alternative word, and with a faithfulness check.
 */

import { wordNodes } from '../captions/caption_text.js';
import { createButton, createElement, englishText } from '../common/dom.js';
import { percent, wholePercent } from '../common/format.js';
import { gettext, gettextNodes, pgettext } from '../common/i18n.js';
import { relativeStrength } from '../heatmaps/heat_map.js';
import { locationText } from '../heatmaps/map_location.js';
import { requestErrorText } from '../session/requests.js';
import { serverNode } from '../session/server_texts.js';
import { ComparedFrame } from './compared_frame.js';
import { checkNodes, FaithfulnessCheck } from './faithfulness_check.js';
import { MapPanel } from './map_panel.js';
import { MethodPicker } from './method_picker.js';
import { frameTitle } from './seen_frames.js';
import { targetName } from './target_picker.js';

/** @typedef {import('../heatmaps/map_canvas.js').Size} Size */
/** @typedef {import('../session/explanation_messages.js').Target} Target */
/** @typedef {import('../session/model.js').Method} Method */
/** @typedef {import('../session/model.js').Model} Model */
/** @typedef {import('./explanation_cache.js').ExplanationCache} ExplanationCache */
/** @typedef {import('./faithfulness_check.js').Offer} Offer */
/** @typedef {import('./seen_frames.js').SeenFrame} SeenFrame */
/** @typedef {import('./target_picker.js').TargetInfo} TargetInfo */
/** @typedef {{selected: MapPanel, compared: MapPanel}} Panels */
/**
 * One frame with the target that is shown of it.
 *
 * @typedef {object} Shown
 * @property {ExplanationCache} explanations
 * @property {Panels} panels
 * @property {TargetInfo | null} info
 * @property {string | null} contrast  The alternative to contrast the word with, if any.
 */

/** It blanks all places of a small region in turn, and shows the effect of each. */
const THOROUGH_CHECK = 'occlusion';
const NO_CHECK = gettext(
  'Only words can be checked, not objects, comparisons or the whole caption.',
);

export class ExplanationView {
  #elements;
  #methods;
  #check;
  #announce;
  /** @type {Shown | null} */
  #shown = null;
  /** Aborts the requests for the current target. */
  #requests = new AbortController();
  /** To compare the frozen frame with. @type {SeenFrame[]} */
  #frames = [];
  /** @type {ComparedFrame | null} */
  #comparedFrame = null;
  /** The method of the maps that come with captions. @type {Method[]} */
  #liveMethods = [];

  /**
   * @param {object} elements
   * @param {HTMLElement} elements.panels
   * @param {HTMLElement} elements.chosen    For the target's name and probability.
   * @param {HTMLElement} elements.rivals    For the alternatives to contrast the word with.
   * @param {HTMLElement} elements.rivalSet
   * @param {HTMLElement} elements.rivalTitle
   * @param {ConstructorParameters<typeof MethodPicker>[0]} elements.methods
   * @param {ConstructorParameters<typeof FaithfulnessCheck>[0]} elements.check
   * @param {(...nodes: (Node | string)[]) => void} announce  To screen readers.
   */
  constructor(elements, announce) {
    this.#elements = elements;
    this.#announce = announce;
    this.#methods = new MethodPicker(elements.methods, () => this.#update(true));
    this.#check = new FaithfulnessCheck(elements.check);
  }

  /**
   * @param {ExplanationCache} explanations
   * @param {Model} model
   * @param {Size} size  Of the frame.
   */
  open(explanations, { methods, liveMethod, source }, size) {
    const panels = { selected: new MapPanel(size), compared: new MapPanel(size) };
    this.#shown = { explanations, panels, info: null, contrast: null };
    this.#methods.setMethods(methods);
    this.#liveMethods = methods.filter(({ name }) => name === liveMethod);
    this.#check.isOffered = source.kind !== 'endpoint';
    this.#elements.panels.replaceChildren(panels.selected.element, panels.compared.element);
  }

  /** Aborts pending requests and removes the maps. */
  close() {
    this.#requests.abort();
    this.#shown = this.#comparedFrame = null;
    this.#frames = [];
    this.#elements.panels.replaceChildren();
  }

  /** @param {SeenFrame[]} frames  Other frames, to compare the frozen one with. */
  set frames(frames) {
    this.#frames = frames;
    const options = frames.map((frame) => ({ seq: frame.caption.seq, title: frameTitle(frame) }));
    this.#methods.setFrames(options);
  }

  /** @param {HTMLImageElement} image */
  set image(image) {
    for (const panel of Object.values(this.#shown?.panels ?? {})) panel.image = image;
  }

  /** @param {TargetInfo} info */
  set target(info) {
    if (!this.#shown) return;
    this.#shown.info = info;
    this.#shown.contrast = null;
    this.#elements.chosen.replaceChildren(...targetNodes(info));
    this.#showAlternatives(info);
    this.#update(false);
  }

  /** @param {TargetInfo} info */
  #showAlternatives({ target, name, word }) {
    const { rivalSet, rivalTitle, rivals } = this.#elements;
    const alternatives = target.kind === 'word' && word ? word.alternatives : [];
    rivalSet.hidden = alternatives.length === 0 || !this.#methods.offers('contrast');
    rivalTitle.replaceChildren(...gettextNodes('Why “{word}”?', { word: englishText(name) }));
    const choices = [
      { button: createButton(pgettext('why a word', 'overall'), 'pick'), contrast: null },
      ...alternatives.map(({ text, prob }) => ({
        button: rivalButton(text, prob),
        contrast: text,
      })),
    ];
    const markPressed = (/** @type {string | null} */ pressed) => {
      for (const { button, contrast } of choices) {
        button.setAttribute('aria-pressed', String(contrast === pressed));
      }
    };
    for (const { button, contrast } of choices) {
      button.addEventListener('click', () => {
        if (this.#shown) this.#shown.contrast = contrast;
        markPressed(contrast);
        this.#update(true);
      });
    }
    markPressed(null);
    rivals.replaceChildren(...choices.map(({ button }) => button));
  }

  /**
   * Shows the maps of the current target.
   *
   * @param {boolean} computeSlow  Whether to run methods that are slow but free.
   */
  #update(computeSlow) {
    if (!this.#shown?.info) return;
    const { panels, info, contrast } = this.#shown;
    const target = contrastTarget(info.target, contrast);
    this.#requests.abort();
    this.#requests = new AbortController();
    this.#methods.restrict(target.kind);
    const { selected, compared } = this.#methods;
    const mayRun = computeSlow && this.#shown.explanations.isFree;
    this.#compareFrame(info);
    const isCompared = compared !== undefined || this.#comparedFrame !== null;
    panels.compared.element.hidden = compared === undefined;
    this.#elements.panels.toggleAttribute('data-beside', isCompared);
    this.#check.showMessage(
      target.kind === 'word' ? gettext('The check follows the map.') : NO_CHECK,
    );
    if (selected) {
      this.#showMap(panels.selected, selected, mayRun);
    } else {
      const text = gettext('This model has no method to explain it.');
      panels.selected.showOffer(text, '', () => {});
    }
    if (compared) this.#showMap(panels.compared, compared, mayRun);
  }

  /** Shows the frame to compare with, if one is selected. @param {TargetInfo} info */
  #compareFrame(info) {
    const { comparedFrame: seq, selected } = this.#methods;
    if (this.#comparedFrame?.frame.caption.seq !== seq) {
      const frame = this.#frames.find(({ caption }) => caption.seq === seq);
      this.#comparedFrame?.element.remove();
      this.#comparedFrame = frame ? new ComparedFrame(frame) : null;
      if (this.#comparedFrame) this.#elements.panels.append(this.#comparedFrame.element);
    }
    const methods = selected ? [selected, ...this.#liveMethods] : this.#liveMethods;
    this.#comparedFrame?.follow(info, methods);
  }

  /**
   * @param {MapPanel} panel
   * @param {Method} method
   * @param {boolean} computeSlow
   */
  async #showMap(panel, method, computeSlow) {
    if (!this.#shown?.info) return;
    const { explanations, panels, info, contrast } = this.#shown;
    const target = contrastTarget(info.target, contrast);
    const name = targetName(info, contrast);
    const offer = gettext('Compute for {target}', { target: name });
    const { signal } = this.#requests;
    const compute = () => this.#showMap(panel, method, true);
    const cached = explanations.get(method.name, target);
    if (!cached && !computeSlow && !explanations.isFast(method.name)) {
      const { title, cost } = method;
      panel.showOffer(gettext('{method}: {cost}.', { method: title, cost }), offer, compute);
      return;
    }
    const cancel = new AbortController();
    let isRough = false;
    try {
      if (!cached) panel.showComputing(method, () => cancel.abort());
      const map =
        cached ??
        (await explanations.request(
          method.name,
          target,
          AbortSignal.any([signal, cancel.signal]),
          (progress) => {
            panel.setProgress(method, progress);
            if (!progress.map) return;
            panel.showRoughMap(method, name, progress.map);
            // Only the first: a screen reader need not follow each refinement.
            if (!isRough && panel === panels.selected) {
              const values = { target: name, place: locationText(progress.map) };
              this.#announce(gettext('{target}, rough map: {place}. Refining it.', values));
            }
            isRough = true;
          },
        ));
      if (signal.aborted) return;
      const words = target.kind === 'word' ? explanations.mapsOfAllWords(method.name) : [];
      panel.showMap(method, name, map, relativeStrength(map, words));
      if (panel !== panels.selected) return;
      const values = { target: name, place: locationText(map) };
      const text = isRough
        ? gettext('{target}, final map: {place}.', values)
        : gettext('{target}: {place}.', values);
      this.#announce(text, ' ', serverNode(map.note));
      if (target.kind === 'word' && target.index !== undefined && explanations.isFree) {
        this.#offerCheck(method, info.name, target.index);
      }
    } catch (error) {
      if (signal.aborted) return;
      const { text, canRetry } = requestErrorText(error);
      panel.showOffer(text, canRetry ? offer : '', compute);
      this.#announce(typeof text === 'string' ? text : text.cloneNode(true));
    }
  }

  /**
   * Checks the map of a word, or offers to if the method is slow.
   *
   * @param {Method} method
   * @param {string} word
   * @param {number} index  Of the word.
   */
  #offerCheck(method, word, index) {
    const check = () => this.#runCheck(method, word, index);
    if (this.#shown?.explanations.isFast(method.name)) check();
    else
      this.#check.showMessage(gettext('The check may compute the map again.'), checkOffer(check));
  }

  /**
   * @param {Method} method
   * @param {string} word
   * @param {number} index
   */
  async #runCheck(method, word, index) {
    if (!this.#shown) return;
    const { signal } = this.#requests;
    this.#check.showMessage(gettext('Checking the map…'));
    try {
      const { explanations } = this.#shown;
      const checked = await explanations.check(method.name, index, signal, ({ done, doing }) => {
        const values = { percent: wholePercent(done), step: doing };
        this.#check.showMessage(gettext('Checking the map: {percent}. {step}…', values));
      });
      if (signal.aborted) return;
      const isCalibrated = this.#shown?.explanations.caption.confidence !== null;
      this.#check.showResult(word, checked, isCalibrated, this.#occlusionOffer());
      this.#announce(...checkNodes(word, checked));
    } catch (error) {
      if (signal.aborted) return;
      const { text, canRetry } = requestErrorText(error);
      const retry = checkOffer(() => this.#runCheck(method, word, index));
      this.#check.showMessage(text, canRetry ? retry : null);
    }
  }

  /** @returns {Offer | null}  To blank every place instead, unless its map is shown already. */
  #occlusionOffer() {
    if (!this.#methods.canCompare(THOROUGH_CHECK)) return null;
    return {
      label: gettext('Compare with occlusion'),
      onClick: () => {
        this.#methods.compare(THOROUGH_CHECK);
        this.#update(true);
      },
    };
  }
}

/** @param {() => void} onClick @returns {Offer} */
function checkOffer(onClick) {
  return { label: gettext('Check this map'), onClick };
}

/**
 * @param {Target} target
 * @param {string | null} contrast
 * @returns {Target}
 */
function contrastTarget(target, contrast) {
  return contrast === null ? target : { ...target, kind: 'contrast', text: contrast };
}

/**
 * @param {string} text  The word to contrast with.
 * @param {number | null} prob
 */
function rivalButton(text, prob) {
  const button = createButton('', 'pick');
  button.append(...gettextNodes('instead of “{word}”', { word: englishText(text) }));
  if (prob !== null) button.append(` ${percent(prob)}`);
  return button;
}

/** @param {TargetInfo} info */
function targetNodes({ target, word }) {
  if (word === null) return [gettext('Whole caption')];
  if (target.kind !== 'tag') return wordNodes(word);
  const object = createElement('span', '', ...wordNodes(word));
  return gettextNodes('Object {object}', { object });
}
