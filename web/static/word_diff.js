// @ts-check
/** Two captions that were aligned, word by word: what was kept, what went, what came. */

import { list, object, oneOf, text } from './json.js';
import { make, unseen } from './element.js';

/**
 * @typedef {object} Edit
 * @property {'kept' | 'substituted' | 'inserted' | 'deleted'} kind
 * @property {string} before  Empty if it was inserted.
 * @property {string} after   Empty if it was deleted.
 */

const EDITS = /** @type {const} */ (['kept', 'substituted', 'inserted', 'deleted']);

/** @param {unknown} value @returns {Edit[]} */
export function readDiff(value) {
  return list(value).map((edit) => {
    const { kind, before, after } = object(edit);
    return { kind: oneOf(kind, EDITS, 'kept'), before: text(before), after: text(after) };
  });
}

/** @param {Edit[]} edits */
export function isSame(edits) {
  return edits.every(({ kind }) => kind === 'kept');
}

/**
 * The later caption, with what went struck out and what came in a frame.
 *
 * @param {Edit[]} edits
 */
export function diffElement(edits) {
  const line = make('p', 'diff');
  line.lang = 'en';
  for (const { kind, before, after } of edits) {
    if (kind === 'kept') line.append(after || before, ' ');
    if (kind === 'substituted' || kind === 'deleted') line.append(mark('del', 'gone', before), ' ');
    if (kind === 'substituted' || kind === 'inserted') line.append(mark('ins', 'new', after), ' ');
  }
  return line;
}

/**
 * @param {'del' | 'ins'} tag
 * @param {string} name  For whoever does not see the mark.
 * @param {string} word
 */
function mark(tag, name, word) {
  return make(tag, '', unseen(`${name}: `), word);
}
