// @ts-check
/** What the server answers to what was asked of it. */

import { KINDS } from './greeting.js';
import {
  countOrNull,
  list,
  number,
  numberOrNull,
  object,
  pathOrNull,
  probability,
  text,
  texts,
} from './json.js';
import { readMap } from './map.js';

/** @typedef {import('./greeting.js').Kind} Kind */
/** @typedef {import('./json.js').Json} Json */
/** @typedef {import('./map.js').PictureMap} PictureMap */
/** @typedef {{kind: Kind, index?: number, text?: string}} Target  What is explained. */
/** @typedef {{type: 'frozen', seq: number, picture: string}} Frozen */
/**
 * How far long work is.
 *
 * @typedef {object} Advance
 * @property {number} done           Share of it.
 * @property {number | null} left_s  An estimate.
 * @property {string} doing          What is being done, for people; may be empty.
 */
/**
 * `analysis` is the path under which the server tells of an analysis to whoever knows it.
 *
 * @typedef {{type: 'progress', id: number, analysis: string | null} & Advance} Progress
 */
/**
 * @typedef {object} Explanation
 * @property {'explanation'} type
 * @property {number | null} id  Of the question; null for what comes by itself.
 * @property {number} seq        Of the caption.
 * @property {string} method
 * @property {Target} of
 * @property {PictureMap} map
 * @property {number} took_ms
 */
/**
 * @typedef {object} Checked
 * @property {'checked'} type
 * @property {number} id
 * @property {number} share    Of the picture that was blanked.
 * @property {number} prob     Of the word in the picture as it is.
 * @property {number} blanked  The same when the top of the map is blanked.
 * @property {[number, number, number]} random  The lowest, the median and the highest when as
 *   much is blanked elsewhere.
 */
/** @typedef {'adversarial' | 'ace'} AnalysisKind */
/**
 * What an analysis found: paths of this server, and a few sentences.
 *
 * @typedef {object} Result
 * @property {'result'} type
 * @property {number} id
 * @property {AnalysisKind} kind
 * @property {string} analysis
 * @property {string} report    An HTML page.
 * @property {string} data      JSON.
 * @property {string[]} summary
 */
/** @typedef {{type: 'error', code: string, id: number | null, message: string}} ServerError */
/** @typedef {{type: 'pong', id: number}} Pong */

const ANALYSIS_KINDS = /** @type {const} */ (['adversarial', 'ace']);

/** @param {Json} message @returns {Frozen | null} */
export function readFrozen({ seq, picture }) {
  const [path, count] = [pathOrNull(picture), countOrNull(seq)];
  return path !== null && count !== null ? { type: 'frozen', seq: count, picture: path } : null;
}

/** @param {Json} message @returns {Progress | null} */
export function readProgress(message) {
  const id = countOrNull(message.id);
  if (id === null || typeof message.done !== 'number') return null;
  return { type: 'progress', id, ...readAdvance(message), analysis: pathOrNull(message.analysis) };
}

/** @param {Json} message @returns {Advance} */
export function readAdvance({ done, left_s, doing }) {
  const left = numberOrNull(left_s);
  return {
    done: probability(done),
    left_s: left === null ? null : Math.max(0, left),
    doing: text(doing),
  };
}

/** @param {Json} message @returns {Result | null} */
export function readResult(message) {
  const [id, kind] = [countOrNull(message.id), readAnalysisKind(message.kind)];
  const [analysis, report, data] = [message.analysis, message.report, message.data].map(pathOrNull);
  if (id === null || kind === null) return null;
  if (analysis === null || report === null || data === null) return null;
  return { type: 'result', id, kind, analysis, report, data, summary: texts(message.summary) };
}

/** @param {unknown} value @returns {AnalysisKind | null} */
export function readAnalysisKind(value) {
  return ANALYSIS_KINDS.find((kind) => kind === value) ?? null;
}

/** @param {Json} message @returns {Explanation | null} */
export function readExplanation(message) {
  const [id, seq] = [countOrNull(message.id), countOrNull(message.seq)];
  const map = readMap(message.map);
  const of = readTarget(message.of);
  if (!map || !of || seq === null || typeof message.method !== 'string') return null;
  if (id === null && message.id !== null) return null;
  const took_ms = Math.max(0, number(message.took_ms, 0));
  return { type: 'explanation', id, seq, method: message.method, of, map, took_ms };
}

/** @param {unknown} value @returns {Target | null} */
function readTarget(value) {
  const { kind, index, text: name } = object(value);
  const known = KINDS.find((candidate) => candidate === kind);
  if (!known) return null;
  const place = countOrNull(index);
  return {
    kind: known,
    ...(place === null ? {} : { index: place }),
    ...(typeof name === 'string' ? { text: name } : {}),
  };
}

/** @param {Json} message @returns {Checked | null} */
export function readChecked(message) {
  const id = countOrNull(message.id);
  const random = list(message.random).map((share) => number(share, NaN));
  const shares = [message.share, message.prob, message.blanked, ...random];
  if (id === null || random.length !== 3 || !shares.every(isProbability)) return null;
  const [lowest, median, highest] = random;
  if (!(lowest <= median && median <= highest)) return null;
  return {
    type: 'checked',
    id,
    share: probability(message.share),
    prob: probability(message.prob),
    blanked: probability(message.blanked),
    random: [lowest, median, highest],
  };
}

/** @param {unknown} value */
function isProbability(value) {
  return typeof value === 'number' && value >= 0 && value <= 1;
}

/** @param {Json} message @returns {ServerError} */
export function readError(message) {
  return {
    type: 'error',
    code: text(message.code),
    id: countOrNull(message.id),
    message: text(message.message),
  };
}

/** @param {Json} message @returns {Pong} */
export function readPong(message) {
  return { type: 'pong', id: number(message.id, 0) };
}
