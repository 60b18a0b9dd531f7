// @ts-check
/** The captioner that runs: what it is, where it comes from and what it can do. */

import {
  asArray,
  asObject,
  asString,
  asStrings,
  countOrNull,
  isObject,
  numberOrNull,
  oneOf,
} from '../common/json.js';
import { ANALYSIS_KINDS, TARGET_KINDS } from './explanation_messages.js';
import { serverText } from './server_texts.js';

/** @typedef {import('./explanation_messages.js').AnalysisKind} AnalysisKind */
/** @typedef {import('./explanation_messages.js').TargetKind} TargetKind */
/**
 * An explanation method.
 *
 * @typedef {object} Method
 * @property {string} name
 * @property {string} title
 * @property {string} paper
 * @property {string} cost
 * @property {string} unit  Of the maps' values.
 * @property {TargetKind[]} kinds
 */
/**
 * @typedef {object} Source
 * @property {typeof SOURCE_KINDS[number]} kind  An endpoint is another server that gets the frames.
 * @property {string} name  Of the folder, the repository or the endpoint; empty for shipped.
 * @property {string | null} revision
 */
/**
 * @typedef {object} Model
 * @property {string} name
 * @property {Source} source
 * @property {string} licence        Empty if it is unknown.
 * @property {string} encoder        Empty if it is unknown.
 * @property {number | null} imageSize       Longer side of the frames that it gets, in pixels.
 * @property {number | null} vocabularySize
 * @property {number | null} cider   CIDEr on the development split.
 * @property {boolean} calibrated    Whether its captions have a confidence.
 * @property {boolean} consensus     Whether it chooses among the captions that its search finds.
 * @property {boolean} tags          Whether its captions come with objects.
 * @property {Method[]} methods
 * @property {string | null} liveMethod  The method of the maps that come with captions.
 * @property {string[]} verified     Methods whose faithfulness was measured, the best first.
 * @property {AnalysisKind[]} analyses
 * @property {boolean} hardened      Whether it has a decoder hardened against adversarial attacks.
 * @property {boolean} concepts      Whether it has built-in concepts.
 */

const SOURCE_KINDS = /** @type {const} */ (['shipped', 'folder', 'hf', 'endpoint']);
const SALIENCY = 'saliency';

/** @param {unknown} value @returns {Model | null}  Null until the captioner has been loaded. */
export function readModel(value) {
  if (!isObject(value)) return null;
  const liveMethod = asString(value.live_method);
  return {
    name: asString(value.name),
    source: readSource(value.source),
    licence: asString(value.licence),
    encoder: asString(value.encoder),
    imageSize: countOrNull(value.image_size),
    vocabularySize: countOrNull(value.vocabulary_size),
    cider: numberOrNull(asObject(value.dev).cider),
    calibrated: value.calibrated === true,
    consensus: value.consensus === true,
    tags: value.tags === true,
    methods: asArray(value.methods).flatMap(readMethod),
    liveMethod: liveMethod === '' ? null : liveMethod,
    verified: asStrings(value.verified),
    analyses: ANALYSIS_KINDS.filter((kind) => asArray(value.analyses).includes(kind)),
    hardened: value.hardened === true,
    concepts: value.concepts === true,
  };
}

/** @param {unknown} value @returns {Source} */
export function readSource(value) {
  const { kind, name, revision } = asObject(value);
  return {
    kind: oneOf(kind, SOURCE_KINDS, 'shipped'),
    name: asString(name),
    revision: asString(revision) || null,
  };
}

/** @param {unknown} value @returns {Method[]}  One, or none if it is malformed. */
function readMethod(value) {
  const method = asObject(value);
  const name = asString(method.name);
  if (name === '') return [];
  return [
    {
      name,
      title: serverText(asString(method.title)) || name,
      paper: asString(method.paper),
      cost: serverText(asString(method.cost)),
      unit: serverText(asString(method.unit)),
      kinds: TARGET_KINDS.filter((kind) => asArray(method.kinds).includes(kind)),
    },
  ];
}

/**
 * Returns the name of a method's title for people.
 *
 * @param {Model} model
 * @param {string | null} name
 */
export function methodTitle({ methods }, name) {
  return methods.find((method) => method.name === name)?.title ?? name ?? '';
}

/** @param {Model | null} model @returns {boolean}  Whether it has saliency maps. */
export function hasSaliency(model) {
  return model?.methods.some(({ name }) => name === SALIENCY) ?? false;
}

/**
 * Returns what the page offers with a captioner, for the `data-needs` attributes of its elements.
 *
 * @param {Model} model
 * @returns {Set<string>}
 */
export function abilitiesOf(model) {
  const { methods, analyses, calibrated, consensus, tags, liveMethod, source } = model;
  const isEndpoint = source.kind === 'endpoint';
  /** @type {[string, boolean][]} */
  const abilities = [
    ['calibrated', calibrated],
    ['ranked', !calibrated && !isEndpoint],
    ['endpoint', isEndpoint],
    ['consensus', consensus],
    ['tags', tags],
    ['maps', liveMethod !== null],
    ['no-maps', liveMethod === null && methods.length > 0],
    ['saliency', hasSaliency(model)],
    ['study', methods.length + analyses.length > 0],
  ];
  const names = abilities.flatMap(([name, isThere]) => (isThere ? [name] : []));
  const live = liveMethod === null ? [] : [`live:${liveMethod}`];
  return new Set([...names, ...live, ...methods.map(({ name }) => `method:${name}`)]);
}
