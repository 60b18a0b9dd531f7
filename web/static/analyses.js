// @ts-check
/** The analyses of this tab: begun here, and taken up again when the page is loaded anew. */

import { Analysis } from './analysis.js';
import { list, number, object, oneOf, pathOrNull, text } from './json.js';

/** @typedef {import('./analysis.js').About} About */
/** @typedef {import('./protocol.js').AnalysisKind} AnalysisKind */
/** @typedef {import('./questions.js').Questions} Questions */

/** More are forgotten, those that are done first. */
const MOST = 4;
const KEY = 'analyses';
const KINDS = /** @type {const} */ (['adversarial', 'ace']);

export class Analyses {
  #questions;
  #onChange;
  /** The newest first. @type {Analysis[]} */
  #all = [];

  /**
   * @param {Questions} questions
   * @param {(analysis: Analysis) => void} onChange  Told of each change of one of them.
   */
  constructor(questions, onChange) {
    this.#questions = questions;
    this.#onChange = onChange;
  }

  /** Those under way, done, or ended by themselves; the newest first. */
  get all() {
    return this.#all;
  }

  /**
   * @param {AnalysisKind} kind
   * @param {About} about
   * @returns {Analysis | null}  The newest of the kind that is about this caption.
   */
  of(kind, { stream, seq }) {
    const isOf = (/** @type {Analysis} */ { kind: other, about }) =>
      other === kind && about.stream === stream && about.seq === seq;
    return this.#all.find(isOf) ?? null;
  }

  /**
   * Begins one; it takes the place of the last of its kind about the same caption.
   *
   * @param {AnalysisKind} kind
   * @param {About} about
   * @param {object} params
   */
  begin(kind, about, params) {
    const last = this.of(kind, about);
    if (last) this.drop(last);
    const analysis = new Analysis(kind, about, null, (changed) => this.#heard(changed));
    const done = this.#all.filter(({ state }) => state === 'done');
    if (this.#all.length >= MOST && done.length > 0) this.drop(done[done.length - 1]);
    this.#all = [analysis, ...this.#all];
    analysis.begin(this.#questions, params);
    this.#heard(analysis);
    return analysis;
  }

  /** Takes up those that were begun before the page was loaded. */
  takeUp() {
    for (const { path, kind, about } of readKept()) {
      const analysis = new Analysis(kind, about, path, (changed) => {
        // Of what was over and forgotten while the page was away nobody needs to hear.
        if (changed.isGone) this.drop(changed);
        else this.#heard(changed);
      });
      this.#all.push(analysis);
      analysis.takeUp();
    }
  }

  /** Gives one up, or forgets it. @param {Analysis} analysis */
  drop(analysis) {
    if (!this.#all.includes(analysis)) return;
    this.#all = this.#all.filter((other) => other !== analysis);
    const ends = analysis.state === 'running';
    if (analysis.state !== 'ended') analysis.drop();
    if (!ends) this.#heard(analysis);
  }

  /** @param {Analysis} analysis */
  #heard(analysis) {
    this.#keep();
    this.#onChange(analysis);
  }

  #keep() {
    const kept = this.#all
      .filter(({ state, path }) => state !== 'ended' && path !== null)
      .map(({ path, kind, about }) => ({ path, kind, about }));
    try {
      sessionStorage.setItem(KEY, JSON.stringify(kept));
    } catch {
      // Some browsers are told to keep nothing; then nothing outlives the page.
    }
  }
}

/** @returns {{path: string, kind: AnalysisKind, about: About}[]} */
function readKept() {
  let kept;
  try {
    kept = JSON.parse(sessionStorage.getItem(KEY) ?? '[]');
  } catch {
    return [];
  }
  return list(kept).flatMap((value) => {
    const { path, kind, about } = object(value);
    const known = pathOrNull(path);
    return known === null
      ? []
      : [{ path: known, kind: oneOf(kind, KINDS, 'adversarial'), about: readAbout(object(about)) }];
  });
}

/** @param {import('./json.js').Json} about @returns {About} */
function readAbout({ stream, seq, caption, taken }) {
  return {
    stream: text(stream),
    seq: number(seq, 0),
    caption: text(caption),
    taken: number(taken, 0),
  };
}
