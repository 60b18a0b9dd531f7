// @ts-check
/** What an analysis of concepts found, as far as the page shows it: read from its JSON. */

import { list, number, numberOrNull, object, oneOf, text, texts } from './json.js';
import { readMap } from './map.js';

/** @typedef {import('./map.js').PictureMap} PictureMap */
/** @typedef {typeof VERDICTS[number]} Verdict  Of the test over scenes. */
/**
 * @typedef {object} Concept
 * @property {string} id               The word and a number, such as `dog-2`.
 * @property {number} presence         Standard deviations above what is usual.
 * @property {number} support          What it adds to the word's logit here.
 * @property {PictureMap | null} map   Where it is.
 * @property {Verdict} verdict
 * @property {number | null} tcav      Share of the scenes in which more of it would raise the word.
 * @property {number | null} random    The same of random directions.
 * @property {number | null} p         After the correction for all tests.
 * @property {number} scenes
 */
/** @typedef {{text: string, concepts: Concept[], whyNone: string}} WordConcepts */
/**
 * @typedef {object} ConceptFindings
 * @property {WordConcepts[]} words
 * @property {string[]} notes  What a reader has to know.
 * @property {{width: number, height: number}} image
 */

const VERDICTS = /** @type {const} */ ([
  'supports',
  'opposes',
  'no effect',
  'not enough evidence',
]);

/**
 * @param {unknown} report  The whole of the report's JSON.
 * @returns {ConceptFindings | null}  Null when it tells of no concepts.
 */
export function readConceptFindings(report) {
  const { ace, image } = object(report);
  const findings = object(ace);
  if (!Array.isArray(findings.words)) return null;
  const { width, height } = object(image);
  return {
    words: findings.words.map(readWord),
    notes: texts(findings.notes),
    image: { width: Math.max(1, number(width, 1)), height: Math.max(1, number(height, 1)) },
  };
}

/** @param {unknown} value @returns {WordConcepts} */
function readWord(value) {
  const word = object(value);
  return {
    text: text(word.text),
    concepts: list(word.concepts).map(readConcept),
    whyNone: text(word.why_none),
  };
}

/** @param {unknown} value @returns {Concept} */
function readConcept(value) {
  const concept = object(value);
  return {
    id: text(concept.id),
    presence: number(concept.presence, 0),
    support: number(concept.support, 0),
    map: readMap(concept.map),
    verdict: oneOf(concept.verdict, VERDICTS, 'not enough evidence'),
    tcav: numberOrNull(concept.tcav),
    random: numberOrNull(concept.tcav_random),
    p: numberOrNull(concept.p),
    scenes: number(concept.scenes, 0),
  };
}
