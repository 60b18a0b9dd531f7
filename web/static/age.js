// @ts-check
/** How old a caption is, in words and in kind. */

/**
 * @param {number} seconds
 * @returns {string}  Such as "0.4 s ago".
 */
export function ageText(seconds) {
  return seconds < 10 ? `${seconds.toFixed(1)} s ago` : `${durationText(seconds)} ago`;
}

/**
 * @param {number} seconds
 * @returns {string}  Such as "12 s" or "3 min".
 */
export function durationText(seconds) {
  return seconds < 90 ? `${Math.round(seconds)} s` : `${Math.round(seconds / 60)} min`;
}

/**
 * The age at which a caption no longer speaks of what the picture shows: two captions were
 * missed.
 *
 * @param {number} intervalS  Seconds between captions.
 */
export function staleAfter(intervalS) {
  return 2 * intervalS + 1.5;
}
