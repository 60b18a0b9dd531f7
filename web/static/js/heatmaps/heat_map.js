// @ts-check
/** A map: how much each place of the picture mattered, as a grid over the whole picture. */

import { list, number, object } from './json.js';

/**
 * @typedef {object} PictureMap
 * @property {number} rows
 * @property {number} columns
 * @property {Uint8Array} levels  Row after row; 255 is the peak.
 * @property {number} peak        The largest value, in the method's unit.
 */

const MOST_CELLS_A_SIDE = 65;
/** A map of more cells a side is of pixels: a few of them stand out by far. */
const MOST_COARSE_CELLS = 24;
const SHOWN_SHARE = 0.99;

/**
 * @param {unknown} value
 * @returns {PictureMap | null}  Null when it is malformed.
 */
export function readMap(value) {
  const { shape, data, peak } = object(value);
  const [rows, columns] = list(shape).map((side) => number(side, NaN));
  if (list(shape).length !== 2 || !isSide(rows) || !isSide(columns)) return null;
  if (typeof peak !== 'number' || !(peak >= 0) || peak === Infinity) return null;
  const levels = readBytes(data, rows * columns);
  return levels && { rows, columns, levels, peak };
}

/** Whether a map is of pixels, not of regions. @param {PictureMap} map */
export function isFine({ rows, columns }) {
  return Math.max(rows, columns) > MOST_COARSE_CELLS;
}

/**
 * The level at which the colours end: the peak, but the 99th percentile of a map of pixels
 * (Smilkov et al., "SmoothGrad", 2017), or a few of them would leave nothing to see of the rest.
 *
 * @param {PictureMap} map
 */
export function topLevel(map) {
  if (!isFine(map)) return 255;
  const sorted = map.levels.slice().sort();
  return Math.max(1, sorted[Math.floor(SHOWN_SHARE * (sorted.length - 1))]);
}

/** @param {PictureMap} map */
export function isBlank({ peak, levels }) {
  return peak === 0 || levels.every((level) => level === 0);
}

/** @param {number} side */
function isSide(side) {
  return Number.isInteger(side) && side >= 1 && side <= MOST_CELLS_A_SIDE;
}

/**
 * @param {unknown} data  Base64.
 * @param {number} count
 * @returns {Uint8Array | null}  Null unless it is so many bytes.
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
