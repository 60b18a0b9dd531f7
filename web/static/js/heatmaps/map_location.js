// @ts-check
/** Where a map is strong, in words: "mostly the left third, centre". */

import { isBlank } from './map.js';

/** @typedef {import('./map.js').PictureMap} PictureMap */

const ACROSS = ['left', 'middle', 'right'];
const DOWN = ['top', 'centre', 'bottom'];
/** One third is said to have it if it has this share of the map, two if they have that. */
const ONE_THIRD_HAS = 0.55;
const TWO_THIRDS_HAVE = 0.8;
/** One of nine places stands out if it has so many times what is usual. */
const STANDS_OUT = 1.4;
/** What covers less of the picture than this, as much as half the peak, is a small spot. */
const SMALL_SPOT = 0.04;

/**
 * @param {PictureMap} map
 * @returns {string}  Fits after "what spoke for it:".
 */
export function whereText(map) {
  if (isBlank(map)) return 'nowhere in particular';
  const { rows, columns } = map;
  const across = mainThirds(thirds(map, columns, (at) => at % columns));
  const down = mainThirds(thirds(map, rows, (at) => Math.floor(at / columns)));
  if (across.length === 3 && down.length === 3) return `all over the picture${mostOf(map)}`;
  const isSpot = across.length === 1 && down.length === 1 && isSmall(map);
  return `mostly ${isSpot ? 'a small spot in ' : ''}${place(across, down)}`;
}

/**
 * @param {number[]} across  Which thirds, from the left.
 * @param {number[]} down    Which thirds, from the top.
 */
function place(across, down) {
  const [columns, rows] = [names(across, ACROSS), names(down, DOWN)];
  if (across.length === 3) return `the ${rows}, from left to right`;
  const noun = across.length === 1 ? 'third' : 'thirds';
  return `the ${columns} ${noun}, ${down.length === 3 ? 'from top to bottom' : rows}`;
}

/**
 * @param {number[]} which
 * @param {string[]} all
 */
function names(which, all) {
  return which.map((third) => all[third]).join(' and ');
}

/**
 * How much of the map each third has; a cell that lies in two thirds counts for both in part.
 *
 * @param {PictureMap} map
 * @param {number} length  Cells along the side that is divided.
 * @param {(at: number) => number} along  Where on that side a cell is.
 * @returns {number[]}
 */
function thirds({ levels }, length, along) {
  const sums = [0, 0, 0];
  levels.forEach((level, at) => {
    const [from, to] = [(3 * along(at)) / length, (3 * (along(at) + 1)) / length];
    for (let third = 0; third < 3; third++) {
      const overlap = Math.min(to, third + 1) - Math.max(from, third);
      if (overlap > 0) sums[third] += (level * overlap) / (to - from);
    }
  });
  const total = sums[0] + sums[1] + sums[2];
  return sums.map((sum) => sum / total);
}

/**
 * @param {number[]} shares
 * @returns {number[]}  The fewest thirds that have most of it, in order.
 */
function mainThirds(shares) {
  const order = [0, 1, 2].sort((one, other) => shares[other] - shares[one]);
  if (shares[order[0]] >= ONE_THIRD_HAS) return [order[0]];
  if (shares[order[0]] + shares[order[1]] >= TWO_THIRDS_HAVE) return order.slice(0, 2).sort();
  return [0, 1, 2];
}

/**
 * @param {PictureMap} map  One that is strong all over the picture.
 * @returns {string}  Where it is strongest, if one of nine places stands out.
 */
function mostOf({ rows, columns, levels }) {
  const sums = new Array(9).fill(0);
  const counts = new Array(9).fill(0);
  levels.forEach((level, at) => {
    const row = Math.floor((3 * (Math.floor(at / columns) + 0.5)) / rows);
    const column = Math.floor((3 * ((at % columns) + 0.5)) / columns);
    sums[3 * row + column] += level;
    counts[3 * row + column] += 1;
  });
  const means = sums.map((sum, at) => (counts[at] === 0 ? 0 : sum / counts[at]));
  const strongest = Math.max(...means);
  const usual = levels.reduce((sum, level) => sum + level, 0) / levels.length;
  if (strongest < STANDS_OUT * usual) return '';
  const at = means.indexOf(strongest);
  return `, most in ${place([at % 3], [Math.floor(at / 3)])}`;
}

/** @param {PictureMap} map */
function isSmall({ levels }) {
  return levels.filter((level) => level >= 128).length / levels.length < SMALL_SPOT;
}
