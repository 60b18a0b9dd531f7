// @ts-check
/** A caption, as the server tells it. */

import { list, number, numberOrNull, object, probability, text } from './json.js';
import { readMap } from './map.js';

/** @typedef {import('./json.js').Json} Json */
/** @typedef {import('./map.js').PictureMap} PictureMap */
/** @typedef {{text: string, prob: number}} Alternative */
/** @typedef {{text: string, prob: number, alternatives: Alternative[]}} Word */
/** @typedef {{text: string, prob: number}} Tag  An object that is surely in the picture. */
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

/** @param {Json} message @returns {Caption | null} */
export function readCaption(message) {
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
