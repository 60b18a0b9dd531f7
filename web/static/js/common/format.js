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
 * @returns {string}  Such as "12 s", "3 min" or "2 h".
 */
export function durationText(seconds) {
  if (seconds < 90) return `${Math.round(seconds)} s`;
  if (seconds < 90 * 60) return `${Math.round(seconds / 60)} min`;
  return seconds < 36 * 3600 ? `${Math.round(seconds / 3600)} h` : days(seconds);
}

/** @param {number} seconds */
function days(seconds) {
  return `${Math.round(seconds / 86_400)} days`;
}

/**
 * @param {Date} time
 * @returns {string}  How long ago it was, without fractions: "just now" or "12 s ago".
 */
export function roughAgeText(time) {
  const seconds = Math.max(0, Date.now() - time.getTime()) / 1000;
  return seconds < 1 ? 'just now' : `${durationText(seconds)} ago`;
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
