// @ts-check
/** Describes in words where a heat map is strong: "mostly the left third, centre". */

import { gettext } from '../common/i18n.js';
import { isBlank } from './heat_map.js';

/** @typedef {import('./heat_map.js').HeatMap} HeatMap */
/** @typedef {0 | 1 | 2} Third  Of the width from the left, or of the height from the top. */
/** The least share of the map's sum with which one third, or two together, are named. */
const ONE_THIRD_SHARE = 0.55;
const TWO_THIRDS_SHARE = 0.8;
/** One of nine regions stands out if its mean is this many times the map's mean. */
const STANDS_OUT = 1.4;
/** A map whose cells of half the peak or more cover less than this share is a small spot. */
const SMALL_SPOT = 0.04;

/** By the thirds of the width from the left. @type {Record<string, string>} */
const COLUMN_NAMES = {
  0: gettext('the left third'),
  1: gettext('the middle third'),
  2: gettext('the right third'),
  '01': gettext('the left and middle thirds'),
  '02': gettext('the left and right thirds'),
  12: gettext('the middle and right thirds'),
};
/** By the thirds of the height from the top. @type {Record<string, string>} */
const ROW_NAMES = {
  0: gettext('top'),
  1: gettext('centre'),
  2: gettext('bottom'),
  '01': gettext('top and centre'),
  '02': gettext('top and bottom'),
  12: gettext('centre and bottom'),
  '012': gettext('full height'),
};
/** The same, if all of the width is meant. @type {Record<string, string>} */
const BAND_NAMES = {
  0: gettext('the top, full width'),
  1: gettext('the centre, full width'),
  2: gettext('the bottom, full width'),
  '01': gettext('the top and centre, full width'),
  '02': gettext('the top and bottom, full width'),
  12: gettext('the centre and bottom, full width'),
};

/**
 * @param {HeatMap} map
 * @returns {string}  Fits after a colon.
 */
export function locationText(map) {
  if (isBlank(map)) return gettext('no particular region');
  const { rows, columns } = map;
  const across = mainThirds(shareOfThirds(map, columns, (at) => at % columns));
  const down = mainThirds(shareOfThirds(map, rows, (at) => Math.floor(at / columns)));
  if (across.length === 3 && down.length === 3) {
    const strongest = strongestPlace(map);
    return strongest === null
      ? gettext('all over the frame')
      : gettext('all over the frame, strongest in {place}', { place: strongest });
  }
  const isSpot = across.length === 1 && down.length === 1 && isSmall(map);
  const place = placeText(across, down);
  return isSpot
    ? gettext('mostly a small spot in {place}', { place })
    : gettext('mostly {place}', { place });
}

/**
 * Describes a word by its map, for screen readers.
 *
 * @param {HTMLElement} element  Of the word.
 * @param {HeatMap | undefined} map
 */
export function describeByMap(element, map) {
  if (map) {
    const text = gettext('based on: {place}', { place: locationText(map) });
    element.setAttribute('aria-description', text);
  } else {
    element.removeAttribute('aria-description');
  }
}

/**
 * @param {Third[]} across
 * @param {Third[]} down
 */
function placeText(across, down) {
  const rows = down.join('');
  if (across.length === 3) return BAND_NAMES[rows] ?? '';
  return gettext('{columns}, {rows}', {
    columns: COLUMN_NAMES[across.join('')] ?? '',
    rows: ROW_NAMES[rows] ?? '',
  });
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
 * @returns {string | null}  Where it is strongest, if one of nine regions stands out.
 */
function strongestPlace({ rows, columns, levels }) {
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
  if (strongest < STANDS_OUT * mean) return null;
  const at = means.indexOf(strongest);
  const [column, row] = /** @type {[Third, Third]} */ ([at % 3, Math.floor(at / 3)]);
  return placeText([column], [row]);
}

/** @param {HeatMap} map */
function isSmall({ levels }) {
  return levels.filter((level) => level >= 128).length / levels.length < SMALL_SPOT;
}
