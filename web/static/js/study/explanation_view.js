// @ts-check
/**
 * The explanation of one target in a frozen frame: its map by the selected method, beside another
 * method's or another frame's, against an alternative word, and with a faithfulness check.
 */

import { wordStanding } from '../captions/caption.js';
import { createButton } from '../common/dom.js';
import { percent } from '../common/format.js';
import { relativeStrength } from '../heatmaps/heat_map.js';
import { locationText } from '../heatmaps/map_location.js';
import { requestErrorText } from '../session/requests.js';
import { ComparedFrame } from './compared_frame.js';
import { checkText, FaithfulnessCheck } from './faithfulness_check.js';
import { MapPanel } from './map_panel.js';
import { MethodPicker } from './method_picker.js';
import { frameTitle } from './seen_frames.js';

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
const NO_CHECK = 'Only words can be checked, not objects, comparisons or the whole caption.';

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
   * @param {(text: string) => void} announce  To screen readers.
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
    this.#elements.chosen.textContent = targetText(info);
    this.#showAlternatives(info);
    this.#update(false);
  }

  /** @param {TargetInfo} info */
  #showAlternatives({ target, name, word }) {
    const { rivalSet, rivalTitle, rivals } = this.#elements;
    const alternatives = target.kind === 'word' && word ? word.alternatives : [];
    rivalSet.hidden = alternatives.length === 0 || !this.#methods.offers('contrast');
    rivalTitle.textContent = `Why “${name}”?`;
    const choices = [
      { button: createButton('overall', 'pick'), contrast: null },
      ...alternatives.map(({ text, prob }) => ({
        button: createButton(
          `instead of “${text}” ${prob === null ? '' : percent(prob)}`.trim(),
          'pick',
        ),
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
    this.#check.showMessage(target.kind === 'word' ? 'The check follows the map.' : NO_CHECK);
    if (selected) this.#showMap(panels.selected, selected, mayRun);
    else panels.selected.showOffer('This model has no method to explain it.', '', () => {});
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
    const { signal } = this.#requests;
    const compute = () => this.#showMap(panel, method, true);
    const cached = explanations.get(method.name, target);
    if (!cached && !computeSlow && !explanations.isFast(method.name)) {
      panel.showOffer(`${method.title}: ${method.cost}.`, `Compute for ${name}`, compute);
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
              this.#announce(`${name}, rough map: ${locationText(progress.map)}. Refining it.`);
            }
            isRough = true;
          },
        ));
      if (signal.aborted) return;
      const words = target.kind === 'word' ? explanations.mapsOfAllWords(method.name) : [];
      panel.showMap(method, name, map, relativeStrength(map, words));
      if (panel !== panels.selected) return;
      const what = isRough ? `${name}, final map` : name;
      this.#announce([`${what}: ${locationText(map)}.`, map.note].join(' ').trim());
      if (target.kind === 'word' && target.index !== undefined && explanations.isFree) {
        this.#offerCheck(method, info.name, target.index);
      }
    } catch (error) {
      if (signal.aborted) return;
      const { text, canRetry } = requestErrorText(error);
      panel.showOffer(text, canRetry ? `Compute for ${name}` : '', compute);
      this.#announce(text);
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
    else this.#check.showMessage('The check may compute the map again.', checkOffer(check));
  }

  /**
   * @param {Method} method
   * @param {string} word
   * @param {number} index
   */
  async #runCheck(method, word, index) {
    if (!this.#shown) return;
    const { signal } = this.#requests;
    this.#check.showMessage('Checking the map…');
    try {
      const { explanations } = this.#shown;
      const checked = await explanations.check(method.name, index, signal, ({ done, doing }) => {
        this.#check.showMessage(`Checking the map: ${Math.round(done * 100)}%. ${doing}…`);
      });
      if (signal.aborted) return;
      const isCalibrated = this.#shown?.explanations.caption.confidence !== null;
      this.#check.showResult(word, checked, isCalibrated, this.#occlusionOffer());
      this.#announce(checkText(word, checked));
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
      label: 'Compare with occlusion',
      onClick: () => {
        this.#methods.compare(THOROUGH_CHECK);
        this.#update(true);
      },
    };
  }
}

/** @param {() => void} onClick @returns {Offer} */
function checkOffer(onClick) {
  return { label: 'Check this map', onClick };
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
 * @param {TargetInfo} info
 * @param {string | null} contrast
 */
function targetName({ name, target }, contrast) {
  if (target.kind === 'caption') return 'the whole caption';
  return contrast === null ? `“${name}”` : `“${name}” instead of “${contrast}”`;
}

/** @param {TargetInfo} info */
function targetText({ target, name, word }) {
  if (word === null) return 'Whole caption';
  return `${target.kind === 'tag' ? 'Object ' : ''}“${name}” ${wordStanding(word)}`.trim();
}
