// @ts-check
/**
 * What the user has set, kept in this browser from visit to visit. Where storage is not available,
 * as in some private windows, it lasts as long as the page.
 */

import { asObject, parseJson } from './json.js';

/** @typedef {import('./json.js').JsonObject} JsonObject */

const KEY = 'sightline.preferences';

/** @type {JsonObject} */
let preferences = load();

/**
 * @param {string} name
 * @returns {unknown}  As it was stored, perhaps by another version of the page: to be validated.
 */
export function preference(name) {
  return preferences[name];
}

/**
 * @param {string} name
 * @param {unknown} value  As JSON can hold it.
 */
export function setPreference(name, value) {
  preferences = { ...preferences, [name]: value };
  try {
    localStorage.setItem(KEY, JSON.stringify(preferences));
  } catch {
    // Storage is blocked or full.
  }
}

function load() {
  try {
    return asObject(parseJson(localStorage.getItem(KEY) ?? ''));
  } catch {
    return {};
  }
}
