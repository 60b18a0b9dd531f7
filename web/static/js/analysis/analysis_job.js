// @ts-check
/** One analysis of a picture: asked for, and followed to its end whatever the connection does. */

import { dropAnalysis, fetchFigures, fetchStatus } from './analysis_status.js';
import { analysisRefusalText, GONE_TEXT, reasonText } from './analysis_texts.js';
import { Refusal } from './questions.js';

/** @typedef {import('./protocol.js').Advance} Advance */
/** @typedef {import('./protocol.js').AnalysisKind} AnalysisKind */
/** @typedef {import('./questions.js').Questions} Questions */
/**
 * Which caption an analysis is about.
 *
 * @typedef {object} About
 * @property {string} stream
 * @property {number} seq
 * @property {string} caption  As it is said to people.
 * @property {number} taken    When its picture was taken, in milliseconds since 1970.
 */
/** @typedef {{summary: string[], report: string, data: string}} Found  Paths of this server. */

/** Refusals of the channel alone: they say nothing of an analysis that was begun. */
const OF_THE_CHANNEL = new Set(['unconnected', 'silent', 'busy']);
const PAUSE_MS = 1_000;
const LONGEST_PAUSE_MS = 8_000;

export class Analysis {
  /** @type {'running' | 'done' | 'ended'} */
  state = 'running';
  /** @type {Advance} */
  advance = { done: 0, left_s: null, doing: '' };
  /** Whether the server has not answered for a while. */
  isOutOfTouch = false;
  /** Why it ended with nothing found, for people. */
  message = '';
  /** Whether the server has forgotten it before it was told of its end here. */
  isGone = false;
  /** @type {Found | null} */
  found = null;
  /** That it is about, as long as this page has it. @type {HTMLImageElement | null} */
  picture = null;
  /** Whether it is followed by asking for it, and not by the channel. */
  #isPolled = false;
  #path;
  #onChange;
  #given = new AbortController();
  /** @type {unknown} */
  #figures = null;

  /**
   * @param {AnalysisKind} kind
   * @param {About} about
   * @param {string | null} path  Where the server tells of it; null until it has begun.
   * @param {(analysis: Analysis) => void} onChange
   */
  constructor(kind, about, path, onChange) {
    this.kind = kind;
    this.about = about;
    this.#path = path;
    this.#onChange = onChange;
  }

  get path() {
    return this.#path;
  }

  /**
   * Asks for it, and follows it to its end.
   *
   * @param {Questions} questions
   * @param {object} params
   */
  async begin(questions, params) {
    const question = { seq: this.about.seq, kind: this.kind, params };
    try {
      const found = await questions.analyze(question, this.#given.signal, (progress) => {
        this.#path ??= progress.analysis;
        this.advance = progress;
        this.#onChange(this);
      });
      this.#path = found.analysis;
      this.#finish(found);
    } catch (problem) {
      if (!(problem instanceof Refusal)) throw problem;
      if (this.#given.signal.aborted) return;
      // The server goes on without us: we ask it how far it is.
      if (OF_THE_CHANNEL.has(problem.code) && this.#path !== null) await this.takeUp();
      else this.#end(analysisRefusalText(problem));
    }
  }

  /** Follows one that was begun before, by its path. */
  async takeUp() {
    const { signal } = this.#given;
    this.#isPolled = true;
    let pause = PAUSE_MS;
    while (!signal.aborted && this.state === 'running') {
      try {
        await this.#ask();
        pause = PAUSE_MS;
      } catch {
        if (signal.aborted) return;
        this.isOutOfTouch = true;
        pause = Math.min(2 * pause, LONGEST_PAUSE_MS);
        this.#onChange(this);
      }
      if (this.state === 'running') await sleep(pause, signal);
    }
  }

  async #ask() {
    const status = await fetchStatus(/** @type {string} */ (this.#path), this.#given.signal);
    if (this.#given.signal.aborted) return;
    this.isOutOfTouch = false;
    if (status === null) {
      this.isGone = true;
      this.#end(GONE_TEXT);
    } else if (status.state === 'running') {
      this.advance = status.advance;
      this.#onChange(this);
    } else if (status.state === 'done') {
      const { summary, report, data } = status;
      this.#finish({ summary, report: report ?? '', data: data ?? '' });
    } else {
      this.#end(reasonText(status.message));
    }
  }

  /** Whether the server still has what was found. */
  async isKept() {
    const status = await fetchStatus(this.#path ?? '', this.#given.signal).catch(() => null);
    return status !== null;
  }

  /** All figures that were found, as the server wrote them; null if they are gone. */
  async figures() {
    const { signal } = this.#given;
    this.#figures ??= await fetchFigures(this.found?.data ?? '', signal).catch(() => null);
    return this.#figures;
  }

  /** Gives it up, or forgets what was found; the server is told. */
  drop() {
    this.#given.abort();
    if (this.#path !== null && (this.#isPolled || this.state !== 'running')) {
      dropAnalysis(this.#path);
    }
    if (this.state === 'running') this.#end('Cancelled.');
  }

  /** @param {Found} found */
  #finish({ summary, report, data }) {
    this.state = 'done';
    this.found = { summary, report, data };
    this.#onChange(this);
  }

  /** @param {string} message */
  #end(message) {
    this.state = 'ended';
    this.message = message;
    this.#onChange(this);
  }
}

/**
 * @param {number} ms
 * @param {AbortSignal} signal  Ends it early.
 */
function sleep(ms, signal) {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms);
    signal.addEventListener('abort', () => {
      clearTimeout(timer);
      resolve(undefined);
    });
  });
}
