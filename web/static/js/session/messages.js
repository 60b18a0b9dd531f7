// @ts-check
/**
 * The messages of the data channel "captions": JSON text, one object per message. They are
 * validated here, so that the rest of the page can rely on every field. A message that is
 * malformed or of an unknown type is dropped.
 *
 * This module reads the messages about the session: hello, stats, text area, error
 * and pong.
 */

import { readCaption } from '../captions/caption.js';
import {
  asNumber,
  asObject,
  asRange,
  asString,
  countOrNull,
  isObject,
  numberOrNull,
  oneOf,
  parseJson,
} from '../common/json.js';
import { readSignal } from '../common/signal.js';
import {
  readChecked,
  readExplanation,
  readFrozen,
  readProgress,
  readResult,
} from './explanation_messages.js';
import { readModel } from './model.js';

/** @typedef {import('../captions/caption.js').Caption} Caption */
/** @typedef {import('../common/json.js').JsonObject} JsonObject */
/** @typedef {import('../common/signal.js').Signal} Signal */
/** @typedef {import('./explanation_messages.js').Checked} Checked */
/** @typedef {import('./explanation_messages.js').Explanation} Explanation */
/** @typedef {import('./explanation_messages.js').Frozen} Frozen */
/** @typedef {import('./explanation_messages.js').Progress} Progress */
/** @typedef {import('./explanation_messages.js').Result} Result */
/** @typedef {import('./model.js').Model} Model */
/** @typedef {typeof OVERLAYS[number]} Overlay  The heat map drawn into the returned video. */
/** @typedef {typeof EXPLANATIONS[number]} Explanations  The heat maps that come with captions. */
/**
 * The video that the server returns: with the caption, without it, or none.
 *
 * @typedef {typeof RETURNED_VIDEOS[number]} ReturnedVideo
 */
/**
 * @typedef {object} Settings
 * @property {number} interval_s
 * @property {number | null} beam_width  Null if the captioner has no beam search.
 * @property {Overlay} overlay
 * @property {Explanations} explanations
 * @property {ReturnedVideo} returned_video
 */
/** @typedef {{state: 'starting' | 'ready' | 'paused', message: string}} Captioner */
/** @typedef {{interval_s: [number, number], beam_width: [number, number]}} Limits */
/** @typedef {{feed: string, title: string}} WatchedFeed */
/**
 * @typedef {object} Hello
 * @property {'hello'} type
 * @property {string} stream
 * @property {Model | null} model  Null until the captioner has been loaded.
 * @property {Settings} settings
 * @property {Limits} limits
 * @property {Captioner} captioner
 * @property {WatchedFeed | null} watching  Null if the stream is this session's own.
 */
/**
 * What the server has switched off under load: 0 for nothing, 1 for saliency, 2 for word maps too,
 * 3 with fewer captions too, 4 without new sessions too.
 *
 * @typedef {{step: number, message: string}} Load
 */
/**
 * One caption in so many comes with a map; 0 for none.
 *
 * @typedef {{words_every: number, saliency_every: number}} MapRates
 */
/**
 * @typedef {object} Stats
 * @property {'stats'} type
 * @property {Captioner} captioner
 * @property {Settings} settings
 * @property {{received: number, returned: number, replaced: number, fps_in: number,
 *   fps_out: number}} frames
 * @property {{sent: number, replaced: number}} captions
 * @property {MapRates} explanations
 * @property {number} pictures  Frames of this stream that a concept analysis can use.
 * @property {Signal | null} signal
 * @property {number} viewers
 * @property {Load} load
 */
/** @typedef {{type: 'error', code: string, id: number | null, message: string}} ServerError */
/** @typedef {{type: 'pong', id: number}} Pong */
/**
 * Where the returned video carries its caption: from `top`, a fraction of its height, to the bottom.
 *
 * @typedef {{type: 'text_area', top: number}} TextArea
 */
/**
 * @typedef {Hello | Caption | Frozen | Progress | Explanation | Checked | Result | Stats
 *   | TextArea | ServerError | Pong} ServerMessage
 */

const OVERLAYS = /** @type {const} */ (['none', 'words', 'saliency']);
const EXPLANATIONS = /** @type {const} */ (['all', 'words', 'none']);
export const RETURNED_VIDEOS = /** @type {const} */ (['annotated', 'plain', 'off']);

/** @type {Map<unknown, (message: JsonObject) => ServerMessage | null>} */
const READERS = new Map(
  /** @type {[unknown, (message: JsonObject) => ServerMessage | null][]} */ ([
    ['hello', readHello],
    ['caption', readCaption],
    ['frozen', readFrozen],
    ['progress', readProgress],
    ['explanation', readExplanation],
    ['checked', readChecked],
    ['result', readResult],
    ['stats', readStats],
    ['text_area', readTextArea],
    ['error', readError],
    ['pong', readPong],
  ]),
);

/**
 * @param {unknown} data  From the data channel.
 * @returns {ServerMessage | null}  Null if it is malformed or of an unknown type.
 */
export function readMessage(data) {
  if (typeof data !== 'string') return null;
  const message = parseJson(data);
  if (!isObject(message)) return null;
  return READERS.get(message.type)?.(message) ?? null;
}

/** @param {JsonObject} message @returns {Hello | null} */
function readHello(message) {
  const settings = readSettings(message.settings);
  const limits = asObject(message.limits);
  if (!settings) return null;
  return {
    type: 'hello',
    stream: asString(message.stream),
    model: readModel(message.model),
    settings,
    limits: {
      interval_s: asRange(limits.interval_s, [0.25, 10]),
      beam_width: asRange(limits.beam_width, [1, 5]),
    },
    captioner: readCaptioner(message.captioner),
    watching: readWatchedFeed(message.watching),
  };
}

/** @param {JsonObject} message @returns {Stats | null} */
function readStats(message) {
  const settings = readSettings(message.settings);
  if (!settings) return null;
  const frames = asObject(message.frames);
  const captions = asObject(message.captions);
  const explanations = asObject(message.explanations);
  const load = asObject(message.load);
  return {
    type: 'stats',
    captioner: readCaptioner(message.captioner),
    settings,
    frames: {
      received: asNumber(frames.received, 0),
      returned: asNumber(frames.returned, 0),
      replaced: asNumber(frames.replaced, 0),
      fps_in: asNumber(frames.fps_in, 0),
      fps_out: asNumber(frames.fps_out, 0),
    },
    captions: { sent: asNumber(captions.sent, 0), replaced: asNumber(captions.replaced, 0) },
    explanations: {
      words_every: countOrNull(explanations.words_every) ?? 0,
      saliency_every: countOrNull(explanations.saliency_every) ?? 0,
    },
    pictures: countOrNull(message.pictures) ?? 0,
    signal: readSignal(message.signal),
    viewers: countOrNull(message.viewers) ?? 0,
    load: { step: countOrNull(load.step) ?? 0, message: asString(load.message) },
  };
}

/** @param {JsonObject} message @returns {TextArea} */
function readTextArea(message) {
  return { type: 'text_area', top: Math.min(1, Math.max(0, asNumber(message.top, 1))) };
}

/** @param {JsonObject} message @returns {ServerError} */
function readError(message) {
  return {
    type: 'error',
    code: asString(message.code),
    id: countOrNull(message.id),
    message: asString(message.message),
  };
}

/** @param {JsonObject} message @returns {Pong} */
function readPong(message) {
  return { type: 'pong', id: asNumber(message.id, 0) };
}

/** @param {unknown} value @returns {WatchedFeed | null} */
function readWatchedFeed(value) {
  const { feed, title } = asObject(value);
  if (typeof feed !== 'string') return null;
  return { feed, title: asString(title) || feed };
}

/** @param {unknown} value @returns {Settings | null} */
function readSettings(value) {
  const settings = asObject(value);
  const interval = asNumber(settings.interval_s, NaN);
  if (!(interval > 0)) return null;
  return {
    interval_s: interval,
    beam_width: numberOrNull(settings.beam_width),
    overlay: oneOf(settings.overlay, OVERLAYS, 'none'),
    explanations: oneOf(settings.explanations, EXPLANATIONS, 'none'),
    returned_video: oneOf(settings.returned_video, RETURNED_VIDEOS, 'annotated'),
  };
}

/** @param {unknown} value @returns {Captioner} */
function readCaptioner(value) {
  const { state, message } = asObject(value);
  return {
    state: state === 'starting' || state === 'paused' ? state : 'ready',
    message: asString(message),
  };
}
