// @ts-check
/** The data channel's messages about frozen frames, explanations and analyses. */

import {
  asArray,
  asNumber,
  asObject,
  asProbability,
  asString,
  asStrings,
  countOrNull,
  numberOrNull,
  pathOrNull,
} from '../common/json.js';
import { readHeatMap } from '../heatmaps/heat_map.js';
import { serverText } from './server_texts.js';

/** @typedef {import('../common/json.js').JsonObject} JsonObject */
/** @typedef {import('../heatmaps/heat_map.js').HeatMap} HeatMap */
/** @typedef {typeof TARGET_KINDS[number]} TargetKind  What kind of output is explained. */
/** @typedef {{kind: TargetKind, index?: number, text?: string}} Target  What is explained. */
/** @typedef {{type: 'frozen', seq: number, picture: string}} Frozen */
/**
 * The progress of a job.
 *
 * @typedef {object} JobProgress
 * @property {number} done           0 to 1.
 * @property {number | null} left_s  Estimated seconds left.
 * @property {string} doing          The current step, for the user; may be empty.
 */
/**
 * `analysis` is the path of an analysis on the server, once it has one; `map` is an explanation's
 * rough map, if this is news of one.
 *
 * @typedef {{type: 'progress', id: number, analysis: string | null, map: HeatMap | null}
 *   & JobProgress} Progress
 */
/**
 * @typedef {object} Explanation
 * @property {'explanation'} type
 * @property {number | null} id  Of the request; null for a map that comes with captions.
 * @property {number} seq        Of the caption.
 * @property {string} method
 * @property {Target} of
 * @property {HeatMap} map
 * @property {number} took_ms
 */
/**
 * The check of a word's map.
 *
 * @typedef {object} Checked
 * @property {'checked'} type
 * @property {number} id
 * @property {number} share    Of the frame that was blanked.
 * @property {number} prob     The word's probability in the frame as it is.
 * @property {number} blanked  The same with the top of the map blanked.
 * @property {[lowest: number, median: number, highest: number] | null} elsewhere  The same with the
 *   region elsewhere; null if there are too few such regions.
 * @property {number} regions  How many of them there are.
 * @property {number | null} p
 * @property {typeof VERDICTS[number]} verdict
 */
/** @typedef {typeof ANALYSIS_KINDS[number]} AnalysisKind */
/**
 * The result of an analysis: paths on the server, and a summary.
 *
 * @typedef {object} Result
 * @property {'result'} type
 * @property {number} id
 * @property {AnalysisKind} kind
 * @property {string} analysis
 * @property {string} report    HTML.
 * @property {string} data      JSON.
 * @property {string[]} summary
 */

export const TARGET_KINDS = /** @type {const} */ (['word', 'contrast', 'caption', 'tag']);
export const ANALYSIS_KINDS = /** @type {const} */ (['adversarial', 'ace']);
const VERDICTS = /** @type {const} */ (['holds up', 'fails', 'cannot tell', 'cannot be checked']);

/** @param {JsonObject} message @returns {Frozen | null} */
export function readFrozen(message) {
  const [picture, seq] = [pathOrNull(message.picture), countOrNull(message.seq)];
  return picture !== null && seq !== null ? { type: 'frozen', seq, picture } : null;
}

/** @param {JsonObject} message @returns {Progress | null} */
export function readProgress(message) {
  const id = countOrNull(message.id);
  if (id === null || typeof message.done !== 'number') return null;
  return {
    type: 'progress',
    id,
    ...readJobProgress(message),
    analysis: pathOrNull(message.analysis),
    map: readHeatMap(message.map),
  };
}

/** @param {JsonObject} message @returns {JobProgress} */
export function readJobProgress({ done, left_s, doing }) {
  const left = numberOrNull(left_s);
  return {
    done: asProbability(done),
    left_s: left === null ? null : Math.max(0, left),
    doing: serverText(asString(doing)),
  };
}

/** @param {JsonObject} message @returns {Result | null} */
export function readResult(message) {
  const id = countOrNull(message.id);
  const kind = ANALYSIS_KINDS.find((candidate) => candidate === message.kind);
  const analysis = pathOrNull(message.analysis);
  const report = pathOrNull(message.report);
  const data = pathOrNull(message.data);
  if (id === null || kind === undefined) return null;
  if (analysis === null || report === null || data === null) return null;
  return { type: 'result', id, kind, analysis, report, data, summary: asStrings(message.summary) };
}

/** @param {JsonObject} message @returns {Explanation | null} */
export function readExplanation(message) {
  const [id, seq] = [countOrNull(message.id), countOrNull(message.seq)];
  const map = readHeatMap(message.map);
  const of = readTarget(message.of);
  if (!map || !of || seq === null || typeof message.method !== 'string') return null;
  if (id === null && message.id !== null) return null;
  const took_ms = Math.max(0, asNumber(message.took_ms, 0));
  return { type: 'explanation', id, seq, method: message.method, of, map, took_ms };
}

/** @param {unknown} value @returns {Target | null} */
function readTarget(value) {
  const { kind, index, text } = asObject(value);
  const known = TARGET_KINDS.find((candidate) => candidate === kind);
  if (!known) return null;
  const place = countOrNull(index);
  return {
    kind: known,
    ...(place === null ? {} : { index: place }),
    ...(typeof text === 'string' ? { text } : {}),
  };
}

/** @param {JsonObject} message @returns {Checked | null} */
export function readChecked(message) {
  const id = countOrNull(message.id);
  const { share, prob, blanked, p } = message;
  const verdict = VERDICTS.find((candidate) => candidate === message.verdict);
  const regions = countOrNull(message.regions);
  if (id === null || verdict === undefined || regions === null) return null;
  if (!isProbability(share) || !isProbability(prob) || !isProbability(blanked)) return null;
  if (p !== null && !isProbability(p)) return null;
  const checked = { id, share, prob, blanked, regions, p, verdict };
  if (message.elsewhere === null) return { type: 'checked', ...checked, elsewhere: null };
  const [lowest, median, highest] = asArray(message.elsewhere);
  if (!isProbability(lowest) || !isProbability(median) || !isProbability(highest)) return null;
  if (!(lowest <= median && median <= highest)) return null;
  return { type: 'checked', ...checked, elsewhere: [lowest, median, highest] };
}

/** @param {unknown} value @returns {value is number} */
function isProbability(value) {
  return typeof value === 'number' && value >= 0 && value <= 1;
}
