// @ts-check
/** Values of JSON that somebody else wrote, read as what they should be. */

/** @typedef {Record<string, unknown>} Json */

/** @param {unknown} value @returns {value is Json} */
export function isObject(value) {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** @param {unknown} value @returns {Json} */
export function object(value) {
  return isObject(value) ? value : {};
}

/** @param {unknown} value @returns {unknown[]} */
export function list(value) {
  return Array.isArray(value) ? value : [];
}

/** @param {unknown} value */
export function text(value) {
  return typeof value === 'string' ? value : '';
}

/** @param {unknown} value @returns {string[]}  What is text in a list. */
export function texts(value) {
  return list(value).filter((each) => typeof each === 'string');
}

/** @param {unknown} value  A path of this server and of no other, or null. */
export function pathOrNull(value) {
  return typeof value === 'string' && /^\/(?![/\\])[!-~]*$/.test(value) ? value : null;
}

/** @param {unknown} value @param {number} otherwise */
export function number(value, otherwise) {
  return typeof value === 'number' && Number.isFinite(value) ? value : otherwise;
}

/** @param {unknown} value */
export function numberOrNull(value) {
  return typeof value === 'number' && Number.isFinite(value) ? value : null;
}

/** @param {unknown} value  Of something that is counted from 0. */
export function countOrNull(value) {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0 ? value : null;
}

/** @param {unknown} value */
export function probability(value) {
  return Math.min(1, Math.max(0, number(value, 0)));
}

/** @param {unknown} value @param {[number, number]} otherwise @returns {[number, number]} */
export function range(value, otherwise) {
  const [low, high] = list(value).map((bound) => number(bound, NaN));
  return low > 0 && high >= low ? [low, high] : otherwise;
}

/**
 * @template {string} T
 * @param {unknown} value
 * @param {readonly T[]} choices
 * @param {T} otherwise
 * @returns {T}
 */
export function oneOf(value, choices, otherwise) {
  return choices.find((choice) => choice === value) ?? otherwise;
}
