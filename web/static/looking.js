// @ts-check
/**
 * Where the captioner looked for what is pointed at on the live page: a word, the caption as a
 * whole, or an object. Drawn over the moving picture and told in the line of details.
 */

import { percent } from './certainty.js';
import { strengthAmong } from './legend.js';
import { Refusal } from './questions.js';
import { absenceText } from './thinning.js';
import { whereText } from './whereabouts.js';

/** @typedef {import('./map.js').PictureMap} PictureMap */
/** @typedef {import('./protocol.js').Caption} Caption */
/** @typedef {import('./protocol.js').Explanation} Explanation */
/** @typedef {import('./protocol.js').Method} Method */
/** @typedef {import('./protocol.js').Settings} Settings */
/** @typedef {import('./protocol.js').Thinning} Thinning */
/** @typedef {import('./protocol.js').Word} Word */
/** @typedef {{kind: 'word', index: number} | {kind: 'caption'}} Pointed */
/**
 * @typedef {object} Sight
 * @property {PictureMap} map
 * @property {string} method
 * @property {number | null} strength  Against the strongest word's, 0 to 1.
 */

/** What is told of an object whose map cannot be had. @type {Record<string, string>} */
const REFUSALS = {
  busy: 'The captioner is busy. Tap again in a moment.',
  'captioner-paused': 'Captions are paused; maps come back with them.',
  gone: 'Its picture is gone already.',
  unconnected: 'There is no connection to ask by.',
};

export class Looking {
  #parts;
  #questions;
  /** @type {Caption | null} */
  #caption = null;
  /** @type {Pointed | null} */
  #pointed = null;
  /** The object whose map is asked for, again with each new caption. @type {string | null} */
  #object = null;
  /** @type {Sight | null} */
  #objectSight = null;
  #objectRemark = '';
  /** @type {AbortController | null} */
  #asking = null;
  /** The newest map of the pixels that mattered to the whole caption. @type {Explanation | null} */
  #saliency = null;
  /** @type {Method[]} */
  #methods = [];
  /** @type {Settings['explanations']} */
  #explanations = 'none';
  #watches = false;
  /** @type {Thinning} */
  #thinning = { gradcam_every: 1, saliency_every: 1 };

  /**
   * @param {object} parts
   * @param {import('./map_canvas.js').MapCanvas} parts.canvas  Over the moving picture.
   * @param {import('./legend.js').Legend} parts.legend
   * @param {HTMLElement} parts.detail  About what is pointed at.
   * @param {import('./questions.js').Questions} questions
   */
  constructor(parts, questions) {
    this.#parts = parts;
    this.#questions = questions;
  }

  /** @param {Method[]} methods */
  set methods(methods) {
    this.#methods = methods;
  }

  /**
   * @param {Settings['explanations']} explanations
   * @param {Thinning} thinning
   * @param {boolean} watches  Whether the stream is a feed's.
   */
  configure(explanations, thinning, watches) {
    this.#watches = watches;
    this.#explanations = explanations;
    this.#thinning = thinning;
    if (explanations !== 'all') this.#saliency = null;
  }

  /** @param {Caption | null} caption  What the page shows now. */
  show(caption) {
    const isOther = caption?.seq !== this.#caption?.seq;
    // A map of pixels comes after its caption, and is true of no other.
    if (caption?.text !== this.#caption?.text) this.#saliency = null;
    this.#caption = caption;
    if (caption === null) {
      this.#pointed = null;
      this.object = null;
    } else if (isOther && this.#object !== null && !caption.kept) {
      this.#askForObject(this.#object);
    }
    this.#update();
  }

  /** @param {Explanation} explanation  A map that came by itself. */
  hear(explanation) {
    if (explanation.of.kind !== 'caption' || this.#explanations !== 'all') return;
    this.#saliency = explanation;
    if (this.#pointed?.kind === 'caption') this.#update();
  }

  /** @param {Pointed | null} pointed */
  point(pointed) {
    this.#pointed = pointed;
    this.#update();
  }

  /** @param {string | null} name  The object to show, as long as no word is pointed at. */
  set object(name) {
    this.#object = name;
    this.#objectSight = null;
    this.#objectRemark = '';
    this.#asking?.abort();
    this.#asking = null;
    if (name !== null) this.#askForObject(name);
    this.#update();
  }

  get object() {
    return this.#object;
  }

  /** @param {string} name */
  async #askForObject(name) {
    if (this.#asking || !this.#caption) return;
    const method = this.#methods.find(({ kinds }) => kinds.includes('tag'));
    if (!method) {
      this.#objectRemark = 'This captioner cannot tell where it is.';
      return;
    }
    if (this.#objectSight === null) this.#objectRemark = 'Asking where…';
    const asking = (this.#asking = new AbortController());
    const of = { kind: /** @type {const} */ ('tag'), text: name };
    const question = { seq: this.#caption.seq, method: method.name, of };
    try {
      const { map } = await this.#questions.explain(question, asking.signal);
      if (this.#asking !== asking) return;
      this.#objectSight = { map, method: method.name, strength: null };
    } catch (problem) {
      if (this.#asking !== asking) return;
      this.#objectSight = null;
      const code = problem instanceof Refusal ? problem.code : '';
      this.#objectRemark = REFUSALS[code] ?? 'It cannot be told where.';
    }
    this.#asking = null;
    this.#update();
  }

  #update() {
    const { canvas, legend, detail } = this.#parts;
    const sight = this.#sight();
    const method = this.#methods.find(({ name }) => name === sight?.method);
    canvas.map = sight?.map ?? null;
    if (sight) {
      legend.show(method ?? { title: sight.method, unit: '' }, sight.map, sight.strength);
      legend.dodge(canvas);
    } else {
      legend.hide();
    }
    const told = this.#told(sight);
    detail.toggleAttribute('data-word', told !== '');
    if (detail.textContent !== told) detail.textContent = told;
  }

  /** @returns {Sight | null} */
  #sight() {
    const [caption, pointed] = [this.#caption, this.#pointed];
    if (caption === null) return null;
    if (pointed === null) return this.#objectSight;
    const { maps } = caption;
    if (pointed.kind === 'caption') {
      if (this.#saliency) return { ...this.#saliency, strength: null };
      return maps && { map: maps.caption, method: maps.method, strength: null };
    }
    if (caption.fallback === 'tags') {
      return caption.tags[pointed.index]?.text === this.#object ? this.#objectSight : null;
    }
    const map = maps?.words[pointed.index];
    return maps && map
      ? { map, method: maps.method, strength: strengthAmong(map, maps.words) }
      : null;
  }

  /** @param {Sight | null} sight */
  #told(sight) {
    const [caption, pointed] = [this.#caption, this.#pointed];
    if (caption === null) return '';
    const where = sight && `What spoke for it: ${whereText(sight.map)}.`;
    if (pointed?.kind === 'caption') return `The caption as a whole. ${where ?? this.#absence}`;
    if (pointed === null) {
      if (this.#object === null) return '';
      return `The object “${this.#object}”. ${where ?? this.#objectRemark}`.trim();
    }
    if (caption.fallback === 'tags') {
      const tag = caption.tags[pointed.index];
      const remark = tag?.text === this.#object ? this.#objectRemark : 'Tap it to see where.';
      return tag ? `${describe({ ...tag, alternatives: [] })}. ${where ?? remark}` : '';
    }
    const word = caption.words[pointed.index];
    return word ? `${describe(word)}. ${where ?? this.#absence}` : '';
  }

  get #absence() {
    return absenceText(this.#explanations, this.#thinning, this.#watches);
  }
}

/** @param {Word} word */
function describe({ text, prob, alternatives }) {
  const others = alternatives.map((other) => `${other.text} ${percent(other.prob)}`);
  const otherwise = others.length > 0 ? `; otherwise ${others.join(', ')}` : '';
  return `“${text}” ${percent(prob)} sure${otherwise}`;
}
