// @ts-check
/** Readers for untrusted JSON: each returns a value of the expected type, or a default. */

/** @typedef {Record<string, unknown>} JsonObject */

/** @param {unknown} value @returns {value is JsonObject} */
export function isObject(value) {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** @param {unknown} value @returns {JsonObject}  Empty if it is not an object. */
export function asObject(value) {
  return isObject(value) ? value : {};
}

/** @param {unknown} value @returns {unknown[]}  Empty if it is not an array. */
export function asArray(value) {
  return Array.isArray(value) ? value : [];
}

/** @param {unknown} value @returns {string}  Empty if it is not a string. */
export function asString(value) {
  return typeof value === 'string' ? value : '';
}

/** @param {unknown} value @returns {string[]}  The strings of an array. */
export function asStrings(value) {
  return asArray(value).filter((each) => typeof each === 'string');
}

/** @param {unknown} value @param {number} fallback */
export function asNumber(value, fallback) {
  return numberOrNull(value) ?? fallback;
}

/** @param {unknown} value @returns {number | null}  Null if it is not a finite number. */
export function numberOrNull(value) {
  return typeof value === 'number' && Number.isFinite(value) ? value : null;
}

/** @param {unknown} value @returns {number | null}  Null if it is not an integer of 0 or more. */
export function countOrNull(value) {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0 ? value : null;
}

/** @param {unknown} seconds  Since 1970. @returns {Date | null}  Null if it is no time. */
export function timeOrNull(seconds) {
  const value = numberOrNull(seconds);
  return value === null ? null : new Date(1000 * value);
}

/** @param {unknown} seconds  Since 1970. @returns {Date}  1970 if it is no time. */
export function asTime(seconds) {
  return timeOrNull(seconds) ?? new Date(0);
}

/** @param {unknown} value @returns {number}  Clamped to [0, 1]; 0 if it is not a number. */
export function asProbability(value) {
  return Math.min(1, Math.max(0, asNumber(value, 0)));
}

/**
 * @param {unknown} value  A pair: the lowest and the highest value.
 * @param {[number, number]} fallback  Used unless 0 < lowest <= highest.
 * @returns {[number, number]}
 */
export function asRange(value, fallback) {
  const [low = NaN, high = NaN] = asArray(value).map((bound) => asNumber(bound, NaN));
  return low > 0 && high >= low ? [low, high] : fallback;
}

/**
 * @template {string} T
 * @param {unknown} value
 * @param {readonly T[]} choices
 * @param {T} fallback
 * @returns {T}
 */
export function oneOf(value, choices, fallback) {
  return choices.find((choice) => choice === value) ?? fallback;
}

/**
 * @param {unknown} value
 * @returns {string | null}  A path of the server as a relative URL, since a reverse proxy may add a
 *   prefix: `./analyses/1` for `/analyses/1` or itself. Null if it is no path. Browsers read a second
 *   slash, or a backslash in its place, as the start of another host.
 */
export function pathOrNull(value) {
  const path = typeof value === 'string' ? /^\.?(\/(?![/\\])[!-~]*)$/.exec(value) : null;
  return path ? `.${path[1]}` : null;
}

/**
 * @param {unknown} path  As the server names it, with the prefix of a reverse proxy, as the page has.
 * @returns {string}  URL of a stored picture, relative to the page; empty for none.
 */
export function pictureUrl(path) {
  return /api\/history\/\d+\/picture$/.exec(asString(path))?.[0] ?? '';
}

/**
 * @param {string} text
 * @returns {unknown}  Null if it is not valid JSON.
 */
export function parseJson(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
