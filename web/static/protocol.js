// @ts-check
/**
 * The messages of the data channel "captions": JSON text, one object a message.
 * What comes from the server is checked here, once, so that nothing after this file meets
 * a missing field; what is malformed or of an unknown type is dropped.
 */

import {
  countOrNull,
  isObject,
  list,
  number,
  numberOrNull,
  object,
  oneOf,
  probability,
  range,
  text,
} from './json.js';
import { readMap } from './map.js';

/** @typedef {import('./json.js').Json} Json */
/** @typedef {import('./map.js').PictureMap} PictureMap */
/** @typedef {{text: string, prob: number}} Alternative */
/** @typedef {{text: string, prob: number, alternatives: Alternative[]}} Word */
/** @typedef {{text: string, prob: number}} Tag  An object that is surely in the picture. */
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
/** @typedef {{kind: Kind, index?: number, text?: string}} Target  What is explained. */
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
 */
/**
 * @typedef {object} Hello
 * @property {'hello'} type
 * @property {string} stream
 * @property {Model} model
 * @property {Settings} settings
 * @property {Limits} limits
 * @property {Captioner} captioner
 */
/**
 * @typedef {object} CaptionMaps
 * @property {string} method
 * @property {PictureMap[]} words  One for each of the caption's.
 * @property {PictureMap} caption
 */
/**
 * @typedef {object} Caption
 * @property {'caption'} type
 * @property {number} seq
 * @property {string} text        What to say: the caption, or what is left of it.
 * @property {number} confidence  Probability that it, or the guess, is mostly right.
 * @property {Word[]} words       Of the text; none if it only names the tags.
 * @property {Tag[]} tags         The surest first.
 * @property {null | 'shorter' | 'tags'} fallback  What the text is if the caption is too doubtful.
 * @property {string} guess       The caption that was too doubtful; empty without a fallback.
 * @property {boolean} kept       Whether it is the last one again: the picture shows nothing new.
 * @property {CaptionMaps | null} maps  Where the captioner looked, if that was computed.
 * @property {{width: number, height: number}} frame  The size of the picture.
 * @property {number} age_ms      Age of the frame when the caption was sent.
 * @property {number | null} total_ms  Time that the captioner took.
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
 */
/**
 * With every how many captions maps come now; 0 for none.
 *
 * @typedef {{gradcam_every: number, saliency_every: number}} Thinning
 */
/** @typedef {{type: 'frozen', seq: number, picture: string}} Frozen */
/** @typedef {{type: 'progress', id: number, done: number, left_s: number | null}} Progress */
/**
 * @typedef {object} Explanation
 * @property {'explanation'} type
 * @property {number | null} id  Of the question; null for what comes by itself.
 * @property {number} seq        Of the caption.
 * @property {string} method
 * @property {Target} of
 * @property {PictureMap} map
 * @property {number} took_ms
 */
/**
 * @typedef {object} Checked
 * @property {'checked'} type
 * @property {number} id
 * @property {number} share    Of the picture that was blanked.
 * @property {number} prob     Of the word in the picture as it is.
 * @property {number} blanked  The same when the top of the map is blanked.
 * @property {[number, number, number]} random  The lowest, the median and the highest when as
 *   much is blanked elsewhere.
 */
/** @typedef {{type: 'error', code: string, id: number | null, message: string}} ServerError */
/** @typedef {{type: 'pong', id: number}} Pong */
/**
 * @typedef {Hello | Caption | Frozen | Progress | Explanation | Checked | Stats | ServerError
 *   | Pong} ServerMessage
 */

const OVERLAYS = /** @type {const} */ (['none', 'gradcam', 'saliency']);
const EXPLANATIONS = /** @type {const} */ (['all', 'gradcam', 'none']);
const KINDS = /** @type {const} */ (['word', 'contrast', 'caption', 'tag']);

/** @type {Map<unknown, (message: Json) => ServerMessage | null>} */
const READERS = new Map(
  /** @type {[unknown, (message: Json) => ServerMessage | null][]} */ ([
    ['hello', readHello],
    ['caption', readCaption],
    ['frozen', readFrozen],
    ['progress', readProgress],
    ['explanation', readExplanation],
    ['checked', readChecked],
    ['stats', readStats],
    ['error', readError],
    ['pong', readPong],
  ]),
);

/**
 * @param {unknown} data  What the data channel delivered.
 * @returns {ServerMessage | null}  Null when it is malformed or of an unknown type.
 */
export function readMessage(data) {
  if (typeof data !== 'string') return null;
  let message;
  try {
    message = JSON.parse(data);
  } catch {
    return null;
  }
  if (!isObject(message)) return null;
  const reader = READERS.get(message.type);
  return reader ? reader(message) : null;
}

/** @param {Json} message @returns {Hello | null} */
function readHello(message) {
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
  };
}

/** @param {Json} message @returns {Caption | null} */
function readCaption(message) {
  if (typeof message.text !== 'string') return null;
  const words = list(message.words).flatMap(readWord);
  const { width, height } = object(message.frame);
  return {
    type: 'caption',
    seq: number(message.seq, 0),
    text: message.text,
    confidence: probability(message.confidence),
    words,
    tags: list(message.tags).flatMap(readShare),
    fallback: readFallback(message.fallback),
    guess: text(message.guess),
    kept: message.kept === true,
    maps: readMaps(message.maps, words.length),
    frame: { width: Math.max(0, number(width, 0)), height: Math.max(0, number(height, 0)) },
    age_ms: Math.max(0, number(message.age_ms, 0)),
    total_ms: numberOrNull(object(message.timing_ms).total),
  };
}

/** @param {unknown} value @returns {Caption['fallback']} */
function readFallback(value) {
  return value === 'shorter' || value === 'tags' ? value : null;
}

/**
 * @param {unknown} value
 * @param {number} count  Of the caption's words.
 * @returns {CaptionMaps | null}
 */
function readMaps(value, count) {
  const { method, words, caption } = object(value);
  const whole = readMap(caption);
  const maps = list(words).flatMap((map) => readMap(map) ?? []);
  if (typeof method !== 'string' || !whole) return null;
  return list(words).length === count && maps.length === count
    ? { method, words: maps, caption: whole }
    : null;
}

/** @param {Json} message @returns {Frozen | null} */
function readFrozen({ seq, picture }) {
  // A path of this server and of no other, whatever it is asked to show.
  const isPath = typeof picture === 'string' && /^\/(?![/\\])/.test(picture);
  const count = countOrNull(seq);
  return isPath && count !== null ? { type: 'frozen', seq: count, picture } : null;
}

/** @param {Json} message @returns {Progress | null} */
function readProgress({ id, done, left_s }) {
  const asked = countOrNull(id);
  if (asked === null || typeof done !== 'number') return null;
  const left = numberOrNull(left_s);
  return {
    type: 'progress',
    id: asked,
    done: probability(done),
    left_s: left === null ? null : Math.max(0, left),
  };
}

/** @param {Json} message @returns {Explanation | null} */
function readExplanation(message) {
  const [id, seq] = [countOrNull(message.id), countOrNull(message.seq)];
  const map = readMap(message.map);
  const of = readTarget(message.of);
  if (!map || !of || seq === null || typeof message.method !== 'string') return null;
  if (id === null && message.id !== null) return null;
  const took_ms = Math.max(0, number(message.took_ms, 0));
  return { type: 'explanation', id, seq, method: message.method, of, map, took_ms };
}

/** @param {unknown} value @returns {Target | null} */
function readTarget(value) {
  const { kind, index, text: name } = object(value);
  const known = KINDS.find((candidate) => candidate === kind);
  if (!known) return null;
  const place = countOrNull(index);
  return {
    kind: known,
    ...(place === null ? {} : { index: place }),
    ...(typeof name === 'string' ? { text: name } : {}),
  };
}

/** @param {Json} message @returns {Checked | null} */
function readChecked(message) {
  const id = countOrNull(message.id);
  const random = list(message.random).map((share) => number(share, NaN));
  const shares = [message.share, message.prob, message.blanked, ...random];
  if (id === null || random.length !== 3 || !shares.every(isProbability)) return null;
  const [lowest, median, highest] = random;
  if (!(lowest <= median && median <= highest)) return null;
  return {
    type: 'checked',
    id,
    share: probability(message.share),
    prob: probability(message.prob),
    blanked: probability(message.blanked),
    random: [lowest, median, highest],
  };
}

/** @param {unknown} value */
function isProbability(value) {
  return typeof value === 'number' && value >= 0 && value <= 1;
}

/** @param {unknown} value @returns {Word[]} */
function readWord(value) {
  const { alternatives } = object(value);
  return readShare(value).map((word) => ({
    ...word,
    alternatives: list(alternatives).flatMap(readShare),
  }));
}

/**
 * @param {unknown} value
 * @returns {{text: string, prob: number}[]}  One, or none when it is malformed.
 */
function readShare(value) {
  const { text: word, prob } = object(value);
  return typeof word === 'string' ? [{ text: word, prob: probability(prob) }] : [];
}

/** @param {Json} message @returns {Stats | null} */
function readStats(message) {
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
  };
}

/** @param {Json} message @returns {ServerError} */
function readError(message) {
  return {
    type: 'error',
    code: text(message.code),
    id: countOrNull(message.id),
    message: text(message.message),
  };
}

/** @param {Json} message @returns {Pong} */
function readPong(message) {
  return { type: 'pong', id: number(message.id, 0) };
}

/** @param {Json} model @returns {Model} */
function readModel(model) {
  return {
    name: text(model.name),
    encoder: text(model.encoder),
    licence: text(model.licence),
    cider: numberOrNull(object(model.dev).cider),
    methods: list(model.methods).flatMap(readMethod),
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
