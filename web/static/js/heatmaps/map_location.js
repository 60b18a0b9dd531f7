// @ts-check
/** Describes in words where a heat map is strong: "mostly the left third, centre". */

import { isBlank } from './heat_map.js';

/** @typedef {import('./heat_map.js').HeatMap} HeatMap */
/** @typedef {0 | 1 | 2} Third  Of the width from the left, or of the height from the top. */
/** @typedef {[string, string, string]} ThirdNames */

/** @type {ThirdNames} */
const COLUMN_NAMES = ['left', 'middle', 'right'];
/** @type {ThirdNames} */
const ROW_NAMES = ['top', 'centre', 'bottom'];
/** The least share of the map's sum with which one third, or two together, are named. */
const ONE_THIRD_SHARE = 0.55;
const TWO_THIRDS_SHARE = 0.8;
/** One of nine regions stands out if its mean is this many times the map's mean. */
const STANDS_OUT = 1.4;
/** A map whose cells of half the peak or more cover less than this share is a small spot. */
const SMALL_SPOT = 0.04;

/**
 * @param {HeatMap} map
 * @returns {string}  Fits after a colon.
 */
export function locationText(map) {
  if (isBlank(map)) return 'no particular region';
  const { rows, columns } = map;
  const across = mainThirds(shareOfThirds(map, columns, (at) => at % columns));
  const down = mainThirds(shareOfThirds(map, rows, (at) => Math.floor(at / columns)));
  if (across.length === 3 && down.length === 3) return `all over the frame${strongestText(map)}`;
  const isSpot = across.length === 1 && down.length === 1 && isSmall(map);
  return `mostly ${isSpot ? 'a small spot in ' : ''}${thirdsText(across, down)}`;
}

/**
 * @param {Third[]} across
 * @param {Third[]} down
 */
function thirdsText(across, down) {
  const columns = across.map((third) => COLUMN_NAMES[third]).join(' and ');
  const rows = down.map((third) => ROW_NAMES[third]).join(' and ');
  if (across.length === 3) return `the ${rows}, full width`;
  const noun = across.length === 1 ? 'third' : 'thirds';
  return `the ${columns} ${noun}, ${down.length === 3 ? 'full height' : rows}`;
}

/**
 * Returns each third's share of the map's sum. A cell that lies in two thirds counts in part for
 * both.
 *
 * @param {HeatMap} map
 * @param {number} length  Cells along the side that is divided.
 * @param {(at: number) => number} positionOf  Of a cell along that side.
 * @returns {[number, number, number]}
 */
function shareOfThirds({ levels }, length, positionOf) {
  /** @type {[number, number, number]} */
  const sums = [0, 0, 0];
  levels.forEach((level, at) => {
    const [from, to] = [(3 * positionOf(at)) / length, (3 * (positionOf(at) + 1)) / length];
    for (const third of /** @type {Third[]} */ ([0, 1, 2])) {
      const overlap = Math.min(to, third + 1) - Math.max(from, third);
      if (overlap > 0) sums[third] += (level * overlap) / (to - from);
    }
  });
  const total = sums[0] + sums[1] + sums[2];
  return [sums[0] / total, sums[1] / total, sums[2] / total];
}

/**
 * @param {[number, number, number]} shares
 * @returns {Third[]}  The fewest thirds that hold most of the map, in order.
 */
function mainThirds(shares) {
  const [first, second, third] = /** @type {[Third, Third, Third]} */ (
    [0, 1, 2].sort((one, other) => (shares[other] ?? 0) - (shares[one] ?? 0))
  );
  if (shares[first] >= ONE_THIRD_SHARE) return [first];
  if (shares[first] + shares[second] >= TWO_THIRDS_SHARE) return [first, second].sort();
  return [first, second, third].sort();
}

/**
 * @param {HeatMap} map
 * @returns {string}  Where it is strongest, if one of nine regions stands out; else empty.
 */
function strongestText({ rows, columns, levels }) {
  const sums = Array.from({ length: 9 }, () => ({ sum: 0, count: 0 }));
  levels.forEach((level, at) => {
    const row = Math.floor((3 * (Math.floor(at / columns) + 0.5)) / rows);
    const column = Math.floor((3 * ((at % columns) + 0.5)) / columns);
    const region = sums[3 * row + column];
    if (!region) return;
    region.sum += level;
    region.count += 1;
  });
  const means = sums.map(({ sum, count }) => (count === 0 ? 0 : sum / count));
  const strongest = Math.max(...means);
  const mean = levels.reduce((sum, level) => sum + level, 0) / levels.length;
  if (strongest < STANDS_OUT * mean) return '';
  const at = means.indexOf(strongest);
  const [column, row] = /** @type {[Third, Third]} */ ([at % 3, Math.floor(at / 3)]);
  return `, strongest in ${thirdsText([column], [row])}`;
}

/** @param {HeatMap} map */
function isSmall({ levels }) {
  return levels.filter((level) => level >= 128).length / levels.length < SMALL_SPOT;
}
