// @ts-check
/**
 * The card of the captioner: which one runs and where, its licence, and what is known of its
 * captions and maps. Parts of the page that need what it lacks are hidden.
 */

import { createElement, setNodes } from '../common/dom.js';
import { fixedText, listText, numberText } from '../common/format.js';
import { getJson, HttpError, retryDelay } from '../common/http.js';
import { gettext, pgettext } from '../common/i18n.js';
import { abilitiesOf, methodTitle, readModel, readSource } from '../session/model.js';
import { serverNode } from '../session/server_texts.js';

/** @typedef {import('../session/model.js').Model} Model */
/** @typedef {import('../session/model.js').Source} Source */
/** @typedef {{term: string, value: string, note?: (Node | string)[]}} Fact */

const LOADING_RETRY_S = 2;
/** @type {Fact} */
const CHOICE_FACT = {
  term: gettext('Choice of caption'),
  value: gettext('by similar images'),
  note: [
    gettext(
      'Of the captions that the beam search finds, it shows the one that agrees best with how people described similar training images.',
    ),
  ],
};
const ANALYSIS_NAMES = {
  adversarial: pgettext('analysis', 'adversarial attacks'),
  ace: pgettext('analysis', 'concepts'),
};

export class CaptionerCard {
  #elements;
  #isLoaded = false;

  /**
   * @param {object} elements
   * @param {HTMLElement} elements.facts    A `<dl>` of what everyone should know.
   * @param {HTMLElement} elements.details  A `<dl>` of the rest.
   * @param {HTMLElement} elements.more     Contains the details.
   * @param {HTMLElement} elements.status   Says that the captioner is being loaded.
   */
  constructor(elements) {
    this.#elements = elements;
  }

  /** Asks the server for the captioner until it is loaded. */
  async load() {
    for (let failures = 0; !this.#isLoaded;) {
      try {
        const body = await getJson('api/captioner');
        failures = 0;
        const model = readModel(body.model);
        if (this.#isLoaded) return;
        if (model) this.show(model);
        else this.#showMissing(readSource(body.source), pauseReason(body));
      } catch (error) {
        if (!(error instanceof HttpError)) throw error;
        // Nobody is logged in: the page says so elsewhere.
        if (error.status === 401) return;
        failures += 1;
      }
      const waitS = failures === 0 ? LOADING_RETRY_S : retryDelay(failures);
      await new Promise((resolve) => setTimeout(resolve, 1000 * waitS));
    }
  }

  /** @param {Model} model */
  show(model) {
    const { facts, details, more, status } = this.#elements;
    this.#isLoaded = true;
    status.textContent = '';
    facts.replaceChildren(...mainFacts(model).map(factElement));
    details.replaceChildren(...otherFacts(model).map(factElement));
    more.hidden = false;
    showNeeded(abilitiesOf(model));
    showDestination(model.source);
    for (const element of document.querySelectorAll('[data-live-method]')) {
      element.textContent = methodTitle(model, model.liveMethod);
    }
  }

  /**
   * @param {Source} source
   * @param {string} reason  Why it is not loaded; empty while it is being loaded.
   */
  #showMissing(source, reason) {
    const { facts, status } = this.#elements;
    // It is announced when it changes.
    setNodes(status, [reason === '' ? gettext('Loading the captioner…') : serverNode(reason)]);
    facts.replaceChildren(factElement(placeFact(source)));
    showDestination(source);
    // Of the shipped captioner it is known what it can do.
    if (source.kind !== 'shipped') showNeeded(new Set());
  }
}

/** @param {Record<string, unknown>} body @returns {string}  Why captions are paused. */
function pauseReason({ state, message }) {
  return state === 'paused' && typeof message === 'string' ? message : '';
}

/** @param {Model} model @returns {Fact[]} */
function mainFacts(model) {
  const { name, licence, source } = model;
  return [
    { term: gettext('Name'), value: name },
    placeFact(source),
    { term: gettext('Licence'), value: licence || pgettext('licence', 'unknown') },
    confidenceFact(model),
    mapsFact(model),
    ...(model.consensus ? [CHOICE_FACT] : []),
  ];
}

/** @param {Source} source @returns {Fact} */
function placeFact({ kind, name }) {
  const term = pgettext('captioner', 'Runs');
  if (kind !== 'endpoint') return { term, value: gettext('on this server') };
  const note = gettext('Frames are sent to the endpoint “{name}” in the server’s settings.', {
    name,
  });
  return { term, value: gettext('on another server'), note: [note] };
}

/** @param {Model} model @returns {Fact} */
function confidenceFact({ calibrated, source }) {
  const term = gettext('Confidence');
  if (calibrated) return { term, value: gettext('calibrated') };
  const note =
    source.kind === 'endpoint'
      ? gettext('So there are no percentages.')
      : gettext('So words are only ranked.');
  return { term, value: gettext('not calibrated'), note: [note] };
}

/** @param {Model} model @returns {Fact} */
function mapsFact(model) {
  if (model.methods.length === 0) return { term: gettext('Maps'), value: pgettext('maps', 'none') };
  const titles = model.verified.map((name) => methodTitle(model, name));
  return { term: gettext('Verified maps'), value: listText(titles) || gettext('not measured') };
}

/** @param {Model} model @returns {Fact[]} */
function otherFacts(model) {
  const { source, encoder, imageSize, vocabularySize, cider, methods, analyses } = model;
  const facts = [
    { term: pgettext('captioner', 'Setting'), value: setting({ ...source, revision: null }) },
    { term: gettext('Revision'), value: source.revision ?? '' },
    { term: gettext('Encoder'), value: encoder },
    { term: gettext('Image size'), value: sizeText(imageSize, source) },
    {
      term: gettext('Vocabulary'),
      value: vocabularySize === null ? '' : numberText(vocabularySize),
    },
    { term: gettext('CIDEr, dev split'), value: cider === null ? '' : fixedText(cider, 2) },
    { term: gettext('Objects'), value: model.tags ? gettext('yes') : '' },
    { term: gettext('Maps with captions'), value: methodTitle(model, model.liveMethod) },
    { term: gettext('Maps on request'), value: listText(methods.map(({ title }) => title)) },
    {
      term: gettext('Analyses'),
      value: listText(analyses.map((kind) => ANALYSIS_NAMES[kind])),
    },
  ];
  return [...facts.filter(({ value }) => value !== ''), ...commandFacts(model)];
}

/**
 * Returns what to run on the server to find out what is not known of a captioner.
 *
 * @param {Model} model
 * @returns {Fact[]}
 */
function commandFacts({ calibrated, methods, verified, source }) {
  if (source.kind === 'endpoint') return [];
  const command = (/** @type {string} */ module, options = '') =>
    createElement(
      'code',
      '',
      `python -m ${module} --captioner ${setting(source)} --data DIR${options}`,
    );
  const facts = [];
  if (!calibrated) {
    facts.push({
      term: gettext('To calibrate it'),
      value: '',
      note: [command('models.calibrate')],
    });
  }
  if (verified.length === 0 && methods.length > 0) {
    const measure = command('inference.faithfulness', ' --part choosing');
    facts.push({ term: gettext('To measure its maps'), value: '', note: [measure] });
  }
  return facts;
}

/**
 * @param {number | null} size
 * @param {Source} source
 */
function sizeText(size, { kind }) {
  if (size === null) return '';
  return kind === 'endpoint'
    ? gettext('longer side {size} pixels', { size })
    : gettext('{size} × {size} pixels', { size });
}

/** @param {Source} source @returns {string}  As in the server's settings, without a path. */
function setting({ kind, name, revision }) {
  if (kind === 'shipped') return kind;
  if (kind === 'folder') return `…/${name}`;
  return `${kind}:${name}${revision === null ? '' : `@${revision}`}`;
}

/** @param {Fact} fact */
function factElement({ term, value, note }) {
  const shown = createElement('dd', '', value);
  const row = createElement('div', '', createElement('dt', '', term), shown);
  if (note) row.append(createElement('dd', 'about', ...note));
  return row;
}

/** Hides what the captioner cannot do. @param {Set<string>} abilities */
function showNeeded(abilities) {
  for (const element of document.querySelectorAll('[data-needs]')) {
    const needs = element.getAttribute('data-needs')?.split(' ') ?? [];
    const isShown = needs.every((need) => abilities.has(need));
    element.toggleAttribute('hidden', !isShown);
    if (element instanceof HTMLOptionElement) element.disabled = !isShown;
  }
}

/** Says where frames go. @param {Source} source */
function showDestination({ kind }) {
  const isLocal = kind !== 'endpoint';
  for (const element of document.querySelectorAll('[data-destination]')) {
    const isShown = (element.getAttribute('data-destination') === 'server') === isLocal;
    element.toggleAttribute('hidden', !isShown);
  }
}
