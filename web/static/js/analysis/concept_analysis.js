// @ts-check
/** The concept analysis: its options, and its results with the concepts of each word. */

import { captionWords } from '../captions/caption.js';
import { createElement, englishText, setText } from '../common/dom.js';
import {
  fixedText,
  numberText,
  percent,
  percentOfTenths,
  significantText,
} from '../common/format.js';
import { gettext, ngettext } from '../common/i18n.js';
import {
  asArray,
  asNumber,
  asObject,
  asString,
  asStrings,
  numberOrNull,
  oneOf,
} from '../common/json.js';
import { readHeatMap } from '../heatmaps/heat_map.js';
import { MappedImage } from '../heatmaps/map_canvas.js';
import { locationText } from '../heatmaps/map_location.js';
import { serverNode } from '../session/server_texts.js';

/** @typedef {import('../captions/caption.js').Caption} Caption */
/** @typedef {import('../heatmaps/heat_map.js').HeatMap} HeatMap */
/** @typedef {import('../heatmaps/map_canvas.js').Size} Size */
/** @typedef {import('../session/model.js').Model} Model */
/** @typedef {typeof VERDICTS[number]} Verdict  Of the test over scenes. */
/**
 * @typedef {object} Concept
 * @property {string} id               The word and a number, such as `dog-2`.
 * @property {number} presence         In the frame, in standard deviations above the mean.
 * @property {number} support          What it adds to the word's logit.
 * @property {HeatMap | null} map      Where it is.
 * @property {string} picture          Name of the image of what it looks like; empty for none.
 * @property {Verdict} verdict
 * @property {number | null} tcav      Share of scenes in which more of it raises the word.
 * @property {number | null} effect    On the word's score, in multiples of random concepts'.
 * @property {number | null} p         Corrected for multiple tests.
 * @property {number} scenes
 */
/** @typedef {{text: string, concepts: Concept[], whyNone: string}} WordConcepts */
/** @typedef {{size: Size, frame: HTMLImageElement | null, folder: string}} View */
/**
 * @typedef {object} FalsePositives  How often random concepts were judged to matter.
 * @property {number} concepts
 * @property {number} falseConcepts
 * @property {number} runs
 * @property {number} falseRuns
 */
/**
 * @typedef {object} ConceptReport
 * @property {WordConcepts[]} words
 * @property {FalsePositives | null} falsePositives
 * @property {string[]} notes
 * @property {Size} image
 */

const VERDICTS = /** @type {const} */ (['supports', 'opposes', 'not shown', 'not enough evidence']);
/** @type {Record<Verdict, {sign: string, text: string}>} */
const VERDICT_TEXTS = {
  supports: { sign: '▲', text: gettext('Concept {name}: supports it') },
  opposes: { sign: '▼', text: gettext('Concept {name}: opposes it') },
  'not shown': { sign: '–', text: gettext('Concept {name}: not shown to matter') },
  'not enough evidence': { sign: '?', text: gettext('Concept {name}: not enough evidence') },
};
const MAX_SIDE = 320;
/** The presence from which a concept counts as being in the frame, in standard deviations. */
const MIN_PRESENCE = 1;
/** The report has the rest. */
const MAX_CONCEPTS_PER_WORD = 4;

const NO_BANK = gettext(
  'This captioner has no built-in concepts. They can be learned from recent frames of this stream.',
);

/** The form: where the concepts come from, and for which word they are learned. */
export class ConceptOptions {
  #elements;

  /**
   * @param {object} elements
   * @param {HTMLElement} elements.scopeField  For the radio buttons.
   * @param {HTMLElement} elements.scopes  Radio buttons.
   * @param {HTMLElement} elements.frames  For the number of frames.
   * @param {HTMLElement} elements.wordField
   * @param {HTMLSelectElement} elements.word
   */
  constructor(elements) {
    this.#elements = elements;
    elements.scopes.addEventListener('change', () => this.#updateWordField());
    this.#updateWordField();
  }

  /**
   * @param {Caption} caption
   * @param {Model | null} model
   * @returns {string}  What the model cannot do; empty for nothing.
   */
  prepare(caption, model) {
    const { word, scopes, scopeField } = this.#elements;
    const hasBank = model?.concepts !== false;
    word.replaceChildren(
      new Option(gettext('all content words'), ''),
      ...captionWords(caption).map(wordOption),
    );
    for (const radio of scopes.querySelectorAll('input')) {
      radio.checked = radio.value === (hasBank ? 'bank' : 'frames');
    }
    scopeField.hidden = !hasBank;
    this.#updateWordField();
    return hasBank ? '' : NO_BANK;
  }

  /** @param {number} count  Frames of the stream to learn concepts from. */
  set frameCount(count) {
    const text = ngettext('{count} frame so far', '{count} frames so far', count);
    setText(this.#elements.frames, text);
  }

  get params() {
    const scope = this.#scope;
    return scope === 'bank' ? { scope } : { scope, word: this.#elements.word.value };
  }

  get #scope() {
    return this.#elements.scopes.querySelector('input:checked')?.getAttribute('value') ?? 'bank';
  }

  #updateWordField() {
    this.#elements.wordField.hidden = this.#scope !== 'frames';
  }
}

/** @param {string} word */
function wordOption(word) {
  const option = new Option(`“${word}”`, word);
  option.lang = 'en';
  return option;
}

/**
 * @param {unknown} json  The report.
 * @param {HTMLImageElement | null} frame  If the page still has it.
 * @param {string} folder  Of the report's files on the server; empty if they are gone.
 * @returns {HTMLElement[]}  None if it has no concept analysis.
 */
export function conceptResults(json, frame, folder) {
  const report = readReport(json);
  if (report === null) return [];
  // The captioner's own input is a square, into which the frame was resized.
  const size = frame ? { width: frame.naturalWidth, height: frame.naturalHeight } : report.image;
  return [
    ...report.words.map((word) => wordElement(word, { size, frame, folder })),
    ...falsePositiveTexts(report.falsePositives).map((text) => createElement('p', 'about', text)),
    ...report.notes.map((note) => createElement('p', 'about', serverNode(note))),
  ];
}

/** @param {unknown} json @returns {ConceptReport | null} */
function readReport(json) {
  const { ace, image } = asObject(json);
  const report = asObject(ace);
  if (!Array.isArray(report.words)) return null;
  const { width, height } = asObject(image);
  return {
    words: report.words.map(readWord),
    falsePositives: readFalsePositives(report.false_positives),
    notes: asStrings(report.notes),
    image: { width: Math.max(1, asNumber(width, 1)), height: Math.max(1, asNumber(height, 1)) },
  };
}

/** @param {unknown} value @returns {FalsePositives | null} */
function readFalsePositives(value) {
  const found = asObject(value);
  const concepts = asNumber(found.concepts, 0);
  const runs = asNumber(found.runs, 0);
  if (concepts === 0 || runs === 0) return null;
  const falseConcepts = asNumber(found.false_concepts, 0);
  return { concepts, runs, falseConcepts, falseRuns: asNumber(found.false_runs, 0) };
}

/** @param {unknown} value @returns {WordConcepts} */
function readWord(value) {
  const word = asObject(value);
  return {
    text: asString(word.text),
    concepts: asArray(word.concepts).map(readConcept),
    whyNone: asString(word.why_none),
  };
}

/** @param {unknown} value @returns {Concept} */
function readConcept(value) {
  const concept = asObject(value);
  return {
    id: asString(concept.id),
    presence: asNumber(concept.presence, 0),
    support: asNumber(concept.support, 0),
    map: readHeatMap(concept.map),
    picture: asString(concept.picture),
    verdict: oneOf(concept.verdict, VERDICTS, 'not enough evidence'),
    tcav: numberOrNull(concept.tcav),
    effect: numberOrNull(concept.effect),
    p: numberOrNull(concept.p),
    scenes: asNumber(concept.scenes, 0),
  };
}

/**
 * @param {WordConcepts} word
 * @param {View} view
 */
function wordElement({ text, concepts, whyNone }, view) {
  const heading = createElement('h4', '', `“${text}”`);
  heading.lang = 'en';
  if (concepts.length === 0) {
    return createElement(
      'section',
      'word-concepts',
      heading,
      createElement('p', 'about', serverNode(whyNone)),
    );
  }
  const shown = concepts.slice(0, MAX_CONCEPTS_PER_WORD);
  const items = shown.map((concept) => conceptElement(concept, view));
  const section = createElement(
    'section',
    'word-concepts',
    heading,
    createElement('ul', '', ...items),
  );
  const rest = concepts.length - shown.length;
  if (rest > 0) {
    const more = ngettext('{count} more in the report.', '{count} more in the report.', rest);
    section.append(createElement('p', 'about', more));
  }
  return section;
}

/**
 * Returns a concept: the verdict, what it looks like and where it is, then the figures.
 *
 * @param {Concept} concept
 * @param {View} view
 */
function conceptElement(concept, { size, frame, folder }) {
  const { id, verdict, support, presence, map, picture } = concept;
  const { sign, text } = VERDICT_TEXTS[verdict];
  const image = new MappedImage(size, MAX_SIDE);
  image.image = frame;
  image.map = map;
  image.element.setAttribute('role', 'img');
  const where = map === null ? gettext('nowhere') : locationText(map);
  const label = gettext('Location of concept {name}: {place}', { name: id, place: where });
  image.element.setAttribute('aria-label', label);
  const figures = [labelled(image.element, gettext('Where it is here'))];
  if (picture !== '' && folder !== '') {
    const look = createElement('img', '');
    look.src = `${folder}concept-${encodeURIComponent(picture)}.webp`;
    look.alt = gettext('What concept {name} looks like', { name: id });
    look.addEventListener('error', () => look.parentElement?.remove());
    figures.unshift(labelled(look, gettext('What it looks like')));
  }
  const mark = createElement('span', 'verdict-sign', sign);
  mark.setAttribute('aria-hidden', 'true');
  const item = createElement(
    'li',
    'concept',
    createElement('p', 'verdict', mark, ' ', ...verdictNodes(text, id)),
    createElement('div', 'concept-pair', ...figures),
    createElement('p', '', supportText(support)),
    createElement('p', 'about', presenceText(presence)),
    createElement('p', 'about', evidenceText(concept)),
  );
  item.dataset.verdict = verdict;
  return item;
}

/** @param {HTMLElement} image @param {string} label */
function labelled(image, label) {
  return createElement('figure', '', image, createElement('figcaption', '', label));
}

/**
 * @param {string} text  Of the verdict, with a placeholder.
 * @param {string} id
 */
function verdictNodes(text, id) {
  const [before = '', after = ''] = text.split('{name}');
  return [before, englishText(id), after];
}

/** @param {number} support */
function supportText(support) {
  const value = Math.abs(support);
  const figure = fixedText(value, 2);
  if (value < 0.005) {
    const least = fixedText(0.01, 2);
    return gettext('Changes the word’s score by less than {figure} here.', { figure: least });
  }
  return support > 0
    ? gettext('Adds {figure} to the word’s score here.', { figure })
    : gettext('Subtracts {figure} from the word’s score here.', { figure });
}

/** @param {number} presence */
function presenceText(presence) {
  if (presence < MIN_PRESENCE) return gettext('Not clearly present in this frame.');
  const figure = fixedText(presence, 1);
  return gettext('At its clearest, {figure} standard deviations above average.', { figure });
}

/** @param {Concept} concept */
function evidenceText({ tcav, effect, p, scenes }) {
  if (tcav === null || effect === null) {
    return ngettext('Found in {count} scene.', 'Found in {count} scenes.', scenes);
  }
  const values = { percent: percent(tcav), factor: fixedText(Math.abs(effect), 1) };
  if (p === null) {
    return ngettext(
      'More of it raises the word’s score in {percent} of {count} scene; its mean effect is {factor} times that of random concepts.',
      'More of it raises the word’s score in {percent} of {count} scenes; its mean effect is {factor} times that of random concepts.',
      scenes,
      values,
    );
  }
  const pValue = p < 0.001 ? `p < ${fixedText(0.001, 3)}` : `p = ${significantText(p, 1)}`;
  return ngettext(
    'More of it raises the word’s score in {percent} of {count} scene; its mean effect is {factor} times that of random concepts ({p}).',
    'More of it raises the word’s score in {percent} of {count} scenes; its mean effect is {factor} times that of random concepts ({p}).',
    scenes,
    { ...values, p: pValue },
  );
}

/** @param {FalsePositives | null} found @returns {string[]} */
function falsePositiveTexts(found) {
  if (found === null) return [];
  const { concepts, falseConcepts, runs, falseRuns } = found;
  return [
    gettext(
      'Checked with {concepts} random concepts: {found} of them were judged to matter, in {percent} of {tests} tests of a word.',
      {
        concepts: numberText(concepts),
        found: numberText(falseConcepts),
        percent: percentOfTenths(falseRuns / runs),
        tests: numberText(runs),
      },
    ),
  ];
}
