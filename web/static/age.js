// @ts-check
/** How old a caption is, in words and in kind. */

/**
 * @param {number} seconds
 * @returns {string}  Such as "0.4 s ago".
 */
export function ageText(seconds) {
  if (seconds < 10) return `${seconds.toFixed(1)} s ago`;
  if (seconds < 90) return `${Math.round(seconds)} s ago`;
  return `${Math.round(seconds / 60)} min ago`;
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
