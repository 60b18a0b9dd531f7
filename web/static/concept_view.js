// @ts-check
/** In what concepts the captioner thinks: which of them speak for a word here, and where. */

import { percent } from './certainty.js';
import { readConceptFindings } from './concept_findings.js';
import { make } from './element.js';
import { Pane } from './pane.js';
import { whereText } from './whereabouts.js';

/** @typedef {import('./concept_findings.js').Concept} Concept */
/** @typedef {import('./concept_findings.js').Verdict} Verdict */
/** @typedef {import('./concept_findings.js').WordConcepts} WordConcepts */
/** @typedef {import('./pane.js').Shape} Shape */

/** @type {Record<Verdict, [string, string]>} */
const VERDICTS = {
  supports: ['▲', 'supports it'],
  opposes: ['▼', 'opposes it'],
  'no effect': ['–', 'was not shown to matter'],
  'not enough evidence': ['?', 'not enough evidence'],
};
const LONGEST_SIDE = 320;
/** Standard deviations above the mean from which a concept is said to be in the picture. */
const CLEARLY_THERE = 1;
/** More of a word are in the report. */
const MOST_OF_A_WORD = 4;

/**
 * @param {unknown} report  The JSON of one.
 * @param {HTMLImageElement | null} picture  That it is about, if it is still there.
 * @returns {HTMLElement[]}  None when it tells of no concepts.
 */
export function conceptElements(report, picture) {
  const findings = readConceptFindings(report);
  if (findings === null) return [];
  const { words, notes, image } = findings;
  // The captioner's own picture is a square, into which the frozen one was squeezed.
  const shape = picture ? { width: picture.naturalWidth, height: picture.naturalHeight } : image;
  return [
    ...words.map((word) => wordElement(word, shape, picture)),
    ...notes.map((note) => make('p', 'about', note)),
  ];
}

/**
 * @param {WordConcepts} word
 * @param {Shape} shape
 * @param {HTMLImageElement | null} picture
 */
function wordElement({ text, concepts, whyNone }, shape, picture) {
  const heading = make('h4', '', `“${text}”`);
  heading.lang = 'en';
  if (concepts.length === 0) {
    return make('section', 'word-concepts', heading, make('p', 'about', whyNone));
  }
  const shown = concepts.slice(0, MOST_OF_A_WORD);
  const items = shown.map((concept) => conceptElement(concept, shape, picture));
  const left = concepts.length - shown.length;
  const rest = left > 0 ? [make('p', 'about', `${left} more in the report.`)] : [];
  return make('section', 'word-concepts', heading, make('ul', '', ...items), ...rest);
}

/**
 * @param {Concept} concept
 * @param {Shape} shape
 * @param {HTMLImageElement | null} picture
 */
function conceptElement(concept, shape, picture) {
  const { id, verdict, support, presence, map } = concept;
  const [sign, told] = VERDICTS[verdict];
  const pane = new Pane(shape, LONGEST_SIDE);
  pane.picture = picture;
  pane.map = map;
  pane.element.setAttribute('role', 'img');
  const where = map === null ? 'nowhere' : whereText(map);
  pane.element.setAttribute('aria-label', `Where concept ${id} is: ${where}`);
  const mark = make('span', 'verdict-sign', sign);
  mark.setAttribute('aria-hidden', 'true');
  const item = make(
    'li',
    'concept',
    pane.element,
    make('p', 'verdict', mark, ` Concept ${id}: ${told}`),
    make('p', '', `Here it ${supportText(support)}.`),
    make('p', 'about', presenceText(presence)),
    make('p', 'about', evidenceText(concept)),
  );
  item.dataset.verdict = verdict;
  return item;
}

/** @param {number} support */
function supportText(support) {
  const figure = Math.abs(support).toFixed(2);
  if (figure === '0.00') return 'leaves the word’s score as it is';
  return support > 0 ? `adds ${figure} to the word’s score` : `takes ${figure} off the word’s score`;
}

/** @param {number} presence */
function presenceText(presence) {
  if (presence < CLEARLY_THERE) return 'Nowhere in the picture is clearly more of it than usual.';
  const figure = presence.toFixed(1);
  return `Where it is clearest, ${figure} standard deviations more than usual.`;
}

/** @param {Concept} concept */
function evidenceText({ tcav, random, p, scenes }) {
  if (tcav === null) return `Seen in ${scenes} scenes.`;
  const chance = random === null ? '' : `, ${percent(random)} by chance`;
  const certain = p === null ? '' : `; p ${p < 0.001 ? '< 0.001' : `= ${p.toPrecision(1)}`}`;
  return `More of it raises the word in ${percent(tcav)} of ${scenes} scenes${chance}${certain}.`;
}
