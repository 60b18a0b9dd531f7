// @ts-check
/** What the server tells of itself: what it can do, what is set, how it keeps up. */

import { countOrNull, list, number, numberOrNull, object, oneOf, range, text } from './json.js';
import { readSignal } from './signal.js';

/** @typedef {import('./json.js').Json} Json */
/** @typedef {import('./signal.js').Signal} Signal */
/** @typedef {'none' | 'gradcam' | 'saliency'} Overlay  Over the picture of the returned video. */
/** @typedef {'all' | 'gradcam' | 'none'} Explanations  What comes with each caption. */
/**
 * @typedef {object} Settings
 * @property {number} interval_s
 * @property {number} beam_width
 * @property {Overlay} overlay
 * @property {Explanations} explanations
 */
/** @typedef {{state: 'starting' | 'ready' | 'paused', message: string}} Captioner */
/** @typedef {{interval_s: [number, number], beam_width: [number, number]}} Limits */
/** @typedef {'word' | 'contrast' | 'caption' | 'tag'} Kind  Of what is explained. */
/**
 * A way to explain a caption.
 *
 * @typedef {object} Method
 * @property {string} name
 * @property {string} title
 * @property {string} paper
 * @property {string} cost
 * @property {string} unit  Of the maps' values.
 * @property {Kind[]} kinds
 */
/**
 * @typedef {object} Model
 * @property {string} name
 * @property {string} encoder
 * @property {string} licence
 * @property {number | null} cider  CIDEr on the development split.
 * @property {Method[]} methods     The first is the one of the maps that come with captions.
 * @property {boolean} hardened     Whether it has a decoder that was hardened against attacks.
 * @property {boolean} concepts     Whether it has a bank of concepts.
 */
/**
 * @typedef {object} Hello
 * @property {'hello'} type
 * @property {string} stream
 * @property {Model} model
 * @property {Settings} settings
 * @property {Limits} limits
 * @property {Captioner} captioner
 * @property {Watching | null} watching  Null when the stream is this session's own.
 */
/** @typedef {{feed: string, title: string}} Watching  The feed that is watched. */
/**
 * What the server does without because it has too much to do: 0 for nothing, 1 for saliency, 2
 * for Grad-CAM too, 3 with fewer captions too, 4 without new sessions.
 *
 * @typedef {{step: number, message: string}} Load
 */
/**
 * @typedef {object} Stats
 * @property {'stats'} type
 * @property {Captioner} captioner
 * @property {Settings} settings
 * @property {{received: number, returned: number, replaced: number, fps_in: number,
 *   fps_out: number}} frames
 * @property {{sent: number, replaced: number}} captions
 * @property {Thinning} explanations
 * @property {number} pictures  Of this stream, in which concepts would be sought now.
 * @property {Signal | null} signal
 * @property {number} viewers   How many watch this stream.
 * @property {Load} load
 */
/**
 * With every how many captions maps come now; 0 for none.
 *
 * @typedef {{gradcam_every: number, saliency_every: number}} Thinning
 */

const OVERLAYS = /** @type {const} */ (['none', 'gradcam', 'saliency']);
const EXPLANATIONS = /** @type {const} */ (['all', 'gradcam', 'none']);
export const KINDS = /** @type {const} */ (['word', 'contrast', 'caption', 'tag']);

/** @param {Json} message @returns {Hello | null} */
export function readHello(message) {
  const settings = readSettings(message.settings);
  const limits = object(message.limits);
  if (!settings) return null;
  return {
    type: 'hello',
    stream: text(message.stream),
    model: readModel(object(message.model)),
    settings,
    limits: {
      interval_s: range(limits.interval_s, [0.25, 10]),
      beam_width: range(limits.beam_width, [settings.beam_width, settings.beam_width]),
    },
    captioner: readCaptioner(message.captioner),
    watching: readWatching(message.watching),
  };
}

/** @param {Json} message @returns {Stats | null} */
export function readStats(message) {
  const settings = readSettings(message.settings);
  if (!settings) return null;
  const frames = object(message.frames);
  const captions = object(message.captions);
  const explanations = object(message.explanations);
  return {
    type: 'stats',
    captioner: readCaptioner(message.captioner),
    settings,
    frames: {
      received: number(frames.received, 0),
      returned: number(frames.returned, 0),
      replaced: number(frames.replaced, 0),
      fps_in: number(frames.fps_in, 0),
      fps_out: number(frames.fps_out, 0),
    },
    captions: { sent: number(captions.sent, 0), replaced: number(captions.replaced, 0) },
    explanations: {
      gradcam_every: countOrNull(explanations.gradcam_every) ?? 0,
      saliency_every: countOrNull(explanations.saliency_every) ?? 0,
    },
    pictures: countOrNull(message.pictures) ?? 0,
    signal: readSignal(message.signal),
    viewers: countOrNull(message.viewers) ?? 0,
    load: readLoad(message.load),
  };
}

/** @param {unknown} value @returns {Load} */
function readLoad(value) {
  const { step, message } = object(value);
  return { step: countOrNull(step) ?? 0, message: text(message) };
}

/** @param {unknown} value @returns {Watching | null} */
function readWatching(value) {
  const { feed, title } = object(value);
  if (typeof feed !== 'string') return null;
  return { feed, title: text(title) || feed };
}

/** @param {Json} model @returns {Model} */
function readModel(model) {
  return {
    name: text(model.name),
    encoder: text(model.encoder),
    licence: text(model.licence),
    cider: numberOrNull(object(model.dev).cider),
    methods: list(model.methods).flatMap(readMethod),
    hardened: model.hardened === true,
    concepts: model.concepts === true,
  };
}

/** @param {unknown} value @returns {Method[]}  One, or none when it is malformed. */
function readMethod(value) {
  const method = object(value);
  const name = text(method.name);
  if (name === '') return [];
  return [
    {
      name,
      title: text(method.title) || name,
      paper: text(method.paper),
      cost: text(method.cost),
      unit: text(method.unit),
      kinds: KINDS.filter((kind) => list(method.kinds).includes(kind)),
    },
  ];
}

/** @param {unknown} value @returns {Settings | null} */
function readSettings(value) {
  const settings = object(value);
  const interval = number(settings.interval_s, NaN);
  const beam = number(settings.beam_width, NaN);
  if (!(interval > 0 && beam > 0)) return null;
  return {
    interval_s: interval,
    beam_width: beam,
    overlay: oneOf(settings.overlay, OVERLAYS, 'none'),
    explanations: oneOf(settings.explanations, EXPLANATIONS, 'none'),
  };
}

/** @param {unknown} value @returns {Captioner} */
function readCaptioner(value) {
  const captioner = object(value);
  const state = captioner.state;
  return {
    state: state === 'starting' || state === 'paused' ? state : 'ready',
    message: text(captioner.message),
  };
}
