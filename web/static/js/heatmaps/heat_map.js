// @ts-check
/** A heat map: how much each cell of a grid over the frame contributed, with its value range. */

import { asArray, asNumber, asObject, asString } from '../common/json.js';

/**
 * @typedef {object} HeatMap
 * @property {number} rows
 * @property {number} columns
 * @property {Uint8Array} levels  Row by row; 255 is the peak.
 * @property {number} peak        The largest value, in the method's unit.
 * @property {string} note        What is to be known about this map, a sentence; may be empty.
 */

const MAX_CELLS_PER_SIDE = 65;
/** A map with more cells per side is of pixels, a few of which are far above the rest. */
const MAX_COARSE_CELLS = 24;
const TOP_PERCENTILE = 0.99;

/**
 * @param {unknown} value
 * @returns {HeatMap | null}  Null if it is malformed.
 */
export function readHeatMap(value) {
  const { shape, data, peak, note } = asObject(value);
  if (asArray(shape).length !== 2) return null;
  const [rows = NaN, columns = NaN] = asArray(shape).map((side) => asNumber(side, NaN));
  if (!isSide(rows) || !isSide(columns)) return null;
  if (typeof peak !== 'number' || !(peak >= 0) || peak === Infinity) return null;
  const levels = readBytes(data, rows * columns);
  return levels && { rows, columns, levels, peak, note: asString(note) };
}

/** @param {HeatMap} map @returns {boolean}  Whether it is of pixels rather than regions. */
export function isFine({ rows, columns }) {
  return Math.max(rows, columns) > MAX_COARSE_CELLS;
}

/**
 * Returns the level that the top of the colour scale stands for: the peak, or the 99th percentile
 * of a map of pixels (Smilkov et al., "SmoothGrad", 2017), since a few outliers would leave the
 * rest too dark to see.
 *
 * @param {HeatMap} map
 */
export function topLevel(map) {
  if (!isFine(map)) return 255;
  const sorted = map.levels.slice().sort();
  return Math.max(1, sorted[Math.floor(TOP_PERCENTILE * (sorted.length - 1))] ?? 1);
}

/** @param {HeatMap} map @returns {boolean}  Whether it is zero everywhere. */
export function isBlank({ peak, levels }) {
  return peak === 0 || levels.every((level) => level === 0);
}

/**
 * @param {HeatMap} map
 * @param {HeatMap[]} words  The maps of all words, by the same method.
 * @returns {number | null}  The map's peak relative to the strongest word's, 0 to 1; null if there
 *   is none.
 */
export function relativeStrength(map, words) {
  const strongest = Math.max(0, ...words.map(({ peak }) => peak));
  return strongest === 0 ? null : Math.min(1, map.peak / strongest);
}

/** @param {number} side */
function isSide(side) {
  return Number.isInteger(side) && side >= 1 && side <= MAX_CELLS_PER_SIDE;
}

/**
 * @param {unknown} data  Base64.
 * @param {number} count
 * @returns {Uint8Array | null}  Null unless it is exactly `count` bytes.
 */
function readBytes(data, count) {
  if (typeof data !== 'string' || data.length !== 4 * Math.ceil(count / 3)) return null;
  try {
    const bytes = Uint8Array.from(atob(data), (character) => character.charCodeAt(0));
    return bytes.length === count ? bytes : null;
  } catch {
    return null;
  }
}
