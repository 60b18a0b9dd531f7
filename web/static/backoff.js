// @ts-check
/** How long to wait before the next attempt to reconnect. */

const FIRST_PAUSE_S = 0.5;
const LONGEST_PAUSE_S = 10;
const LONGEST_REQUESTED_S = 120;

/**
 * Pauses that double, with jitter so that the clients of a restarted server do not all come
 * back at once.
 *
 * @param {number} failures  Attempts that failed in a row, 1 or more.
 * @param {() => number} [random]  Uniform in [0, 1).
 * @returns {number}  Seconds, 10 at most.
 */
export function pauseAfter(failures, random = Math.random) {
  const full = Math.min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2 ** (failures - 1));
  return full * (0.7 + 0.3 * random());
}

/**
 * The pause that a server asked for in Retry-After (RFC 9110, 10.2.3), a little stretched by
 * jitter.
 *
 * @param {number} seconds
 * @param {() => number} [random]  Uniform in [0, 1).
 */
export function requestedPause(seconds, random = Math.random) {
  return Math.min(LONGEST_REQUESTED_S, Math.max(1, seconds)) * (1 + 0.1 * random());
}

/**
 * @param {string | null} header  The value of Retry-After: seconds or an HTTP date.
 * @returns {number | undefined}  Seconds from now.
 */
export function retryAfterSeconds(header) {
  if (header === null || header.trim() === '') return undefined;
  const seconds = Number(header);
  if (Number.isFinite(seconds)) return Math.max(0, seconds);
  const date = Date.parse(header);
  return Number.isNaN(date) ? undefined : Math.max(0, (date - Date.now()) / 1000);
}
