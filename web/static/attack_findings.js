// @ts-check
/** What an adversarial analysis found, as far as the page shows it: read from its JSON. */

import { list, number, numberOrNull, object, text } from './json.js';
import { readDiff } from './word_diff.js';

/** @typedef {import('./word_diff.js').Edit} Edit */
/** @typedef {'linf' | 'l2'} Norm */
/** @typedef {{text: string, index: number, isFragile: boolean}} CaptionWord */
/**
 * @typedef {object} AttackFindings
 * @property {string} clean        What is said of the picture.
 * @property {Edit[]} attacked     From that to what is said of the attacked picture.
 * @property {Edit[] | null} hardened  The same by the hardened model; null if there is none.
 * @property {number} epsilon      How much the attack changes, in grey levels.
 * @property {Norm} norm
 * @property {CaptionWord[]} words
 * @property {Keyword[]} keywords
 */
/**
 * @typedef {object} Keyword
 * @property {'say' | 'lose'} aim
 * @property {string} word
 * @property {number | null} epsilon  The least that did it; null if nothing up to `largest` did.
 * @property {number} largest
 * @property {Norm} norm
 * @property {string} caption         What is said then.
 */

/**
 * @param {unknown} report  The whole of the report's JSON.
 * @returns {AttackFindings | null}  Null when it tells of no attack.
 */
export function readAttackFindings(report) {
  const findings = object(object(report).adversarial);
  const attacked = object(findings.attacked);
  if (typeof attacked.clean !== 'string') return null;
  return {
    clean: attacked.clean,
    attacked: readDiff(attacked.diff),
    hardened: typeof attacked.hardened === 'string' ? readDiff(attacked.hardened_diff) : null,
    epsilon: number(attacked.epsilon, 0),
    norm: readNorm(attacked.norm),
    words: list(findings.words).map((value) => {
      const { text: word, index, fragile } = object(value);
      return { text: text(word), index: number(index, -1), isFragile: fragile === true };
    }),
    keywords: list(findings.keywords).map(readKeyword),
  };
}

/** @param {unknown} value @returns {Keyword} */
function readKeyword(value) {
  const { aim, word, smallest } = object(value);
  const { epsilon, largest, norm, caption } = object(smallest);
  return {
    aim: aim === 'lose' ? 'lose' : 'say',
    word: text(word),
    epsilon: numberOrNull(epsilon),
    largest: number(largest, 0),
    norm: readNorm(norm),
    caption: text(caption),
  };
}

/** @param {unknown} value @returns {Norm} */
function readNorm(value) {
  return value === 'l2' ? 'l2' : 'linf';
}
