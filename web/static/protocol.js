// @ts-check
/**
 * The messages of the data channel "captions": JSON text, one object a message.
 * What comes from the server is checked here, once, so that nothing after this file meets
 * a missing field; what is malformed or of an unknown type is dropped.
 */

/** @typedef {{text: string, prob: number}} Alternative */
/** @typedef {{text: string, prob: number, alternatives: Alternative[]}} Word */
/** @typedef {{text: string, prob: number}} Tag  An object that is surely in the picture. */
/** @typedef {{interval_s: number, beam_width: number}} Settings */
/** @typedef {{state: 'starting' | 'ready' | 'paused', message: string}} Captioner */
/** @typedef {{interval_s: [number, number], beam_width: [number, number]}} Limits */
/**
 * @typedef {object} Model
 * @property {string} name
 * @property {string} encoder
 * @property {string} licence
 * @property {number | null} cider  CIDEr on the development split.
 */
/**
 * @typedef {object} Hello
 * @property {'hello'} type
 * @property {Model} model
 * @property {Settings} settings
 * @property {Limits} limits
 * @property {Captioner} captioner
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
 */
/** @typedef {{type: 'error', code: string, message: string}} ServerError */
/** @typedef {{type: 'pong', id: number}} Pong */
/** @typedef {Hello | Caption | Stats | ServerError | Pong} ServerMessage */

/** @typedef {Record<string, unknown>} Json */

/** @type {Map<unknown, (message: Json) => ServerMessage | null>} */
const READERS = new Map(
  /** @type {[unknown, (message: Json) => ServerMessage | null][]} */ ([
    ['hello', readHello],
    ['caption', readCaption],
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
  return {
    type: 'caption',
    seq: number(message.seq, 0),
    text: message.text,
    confidence: probability(message.confidence),
    words: list(message.words).flatMap(readWord),
    tags: list(message.tags).flatMap(readShare),
    fallback: readFallback(message.fallback),
    guess: text(message.guess),
    kept: message.kept === true,
    age_ms: Math.max(0, number(message.age_ms, 0)),
    total_ms: numberOrNull(object(message.timing_ms).total),
  };
}

/** @param {unknown} value @returns {Caption['fallback']} */
function readFallback(value) {
  return value === 'shorter' || value === 'tags' ? value : null;
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
  };
}

/** @param {Json} message @returns {ServerError} */
function readError(message) {
  return { type: 'error', code: text(message.code), message: text(message.message) };
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
  };
}

/** @param {unknown} value @returns {Settings | null} */
function readSettings(value) {
  const settings = object(value);
  const interval = number(settings.interval_s, NaN);
  const beam = number(settings.beam_width, NaN);
  return interval > 0 && beam > 0 ? { interval_s: interval, beam_width: beam } : null;
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

/** @param {unknown} value @param {[number, number]} otherwise @returns {[number, number]} */
function range(value, otherwise) {
  const [low, high] = list(value).map((bound) => number(bound, NaN));
  return low > 0 && high >= low ? [low, high] : otherwise;
}

/** @param {unknown} value @returns {value is Json} */
function isObject(value) {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** @param {unknown} value @returns {Json} */
function object(value) {
  return isObject(value) ? value : {};
}

/** @param {unknown} value @returns {unknown[]} */
function list(value) {
  return Array.isArray(value) ? value : [];
}

/** @param {unknown} value */
function text(value) {
  return typeof value === 'string' ? value : '';
}

/** @param {unknown} value @param {number} otherwise */
function number(value, otherwise) {
  return typeof value === 'number' && Number.isFinite(value) ? value : otherwise;
}

/** @param {unknown} value */
function numberOrNull(value) {
  return typeof value === 'number' && Number.isFinite(value) ? value : null;
}

/** @param {unknown} value */
function probability(value) {
  return Math.min(1, Math.max(0, number(value, 0)));
}
