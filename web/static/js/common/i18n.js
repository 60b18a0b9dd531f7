// @ts-check
/**
 * The page's texts in its language. Sources have them in English, as literals in calls of `gettext`
 * and its kin, none of which is within another or in a template literal, where the extraction does
 * not find it. `web/translations` has the catalogues.
 */

import { asObject, parseJson } from './json.js';

/** @typedef {Record<string, string | number>} Values  By the names of placeholders. */

const LANGUAGE = document.documentElement.lang || 'en';
/** For numbers and times: with the user's region, if the page is in the user's language. */
export const LOCALE =
  navigator.languages.find((each) => primaryOf(each) === primaryOf(LANGUAGE)) ?? LANGUAGE;

/** Translations by message; of a number, a list of forms. The page of English has none. */
const MESSAGES = asObject(parseJson(document.getElementById('messages')?.textContent ?? ''));
const PLURAL_RULES = new Intl.PluralRules(LANGUAGE);
/** Those of the language (CLDR), in the order of the forms in a catalogue. */
const PLURAL_CATEGORIES = ['zero', 'one', 'two', 'few', 'many', 'other'].filter((category) =>
  PLURAL_RULES.resolvedOptions().pluralCategories.some((each) => each === category),
);
const COUNT = new Intl.NumberFormat(LOCALE);
const PLACEHOLDER = /\{(\w+)\}/;

/** @param {string} tag  BCP 47. */
function primaryOf(tag) {
  return tag.split('-')[0]?.toLowerCase();
}

/**
 * @param {string} message  With placeholders such as `{word}`.
 * @param {Values} [values]
 */
export function gettext(message, values = {}) {
  return fill(asText(MESSAGES[message], message), values);
}

/**
 * @param {string} context  Distinguishes the meanings of a message.
 * @param {string} message
 * @param {Values} [values]
 */
export function pgettext(context, message, values = {}) {
  return fill(asText(MESSAGES[`${context}\u0004${message}`], message), values);
}

/**
 * @param {string} one    For one.
 * @param {string} other  For another number, which is the placeholder `{count}`.
 * @param {number} count
 * @param {Values} [values]  Further ones.
 */
export function ngettext(one, other, count, values = {}) {
  const forms = MESSAGES[one];
  const category = PLURAL_RULES.select(count);
  const own = Array.isArray(forms) ? forms[PLURAL_CATEGORIES.indexOf(category)] : undefined;
  const message = category === 'one' ? one : other;
  return fill(asText(own, message), { count: COUNT.format(count), ...values });
}

/**
 * Returns a text whose values may be elements, such as a word of a caption in English.
 *
 * @param {string} message
 * @param {Record<string, Node | string | number>} values
 * @returns {(Node | string)[]}
 */
export function gettextNodes(message, values) {
  const parts = asText(MESSAGES[message], message).split(PLACEHOLDER);
  return parts
    .map((part, index) => (index % 2 === 0 ? part : (values[part] ?? `{${part}}`)))
    .filter((part) => part !== '')
    .map((part) => (typeof part === 'number' ? String(part) : part));
}

/** Marks a text for translation that `translationOf` looks up later. @param {string} message */
export function gettextLater(message) {
  return message;
}

/**
 * @param {string} message
 * @returns {string | null}  Null if there is no translation.
 */
export function translationOf(message) {
  const translation = MESSAGES[message];
  return typeof translation === 'string' ? translation : null;
}

/**
 * @param {unknown} translation
 * @param {string} message
 */
function asText(translation, message) {
  return typeof translation === 'string' ? translation : message;
}

/**
 * @param {string} text
 * @param {Values} values
 */
export function fill(text, values) {
  return text.replace(/\{(\w+)\}/g, (placeholder, name) => String(values[name] ?? placeholder));
}
