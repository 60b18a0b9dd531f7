// @ts-check
/** A caption: its fields, its text in English, and how the page marks confidence. */

import { readHeatMap } from '../heatmaps/heat_map.js';
import { percent } from '../common/format.js';
import {
  asArray,
  asNumber,
  asObject,
  asProbability,
  asString,
  numberOrNull,
} from '../common/json.js';

/** @typedef {import('../common/json.js').JsonObject} JsonObject */
/** @typedef {import('../heatmaps/heat_map.js').HeatMap} HeatMap */
/** @typedef {{text: string, prob: number | null}} Alternative */
/** @typedef {{place: number, count: number}} Rank  Place 1 is the most probable of the words. */
/**
 * @typedef {object} Word
 * @property {string} text
 * @property {number | null} confidence  Probability that people say the word, or a synonym, of the
 *   frame; of a tag, that the object is in it. Null for words such as "a", and if the captioner is
 *   not calibrated.
 * @property {number | null} prob  Of being the next word. Null if it is unknown, or the captioner is
 *   not calibrated.
 * @property {Rank | null} rank    Among the words, if the captioner is not calibrated; null if it is
 *   unknown.
 * @property {Alternative[]} alternatives  The most probable first.
 */
/** @typedef {{text: string, prob: number}} Tag  An object in the frame, with its probability. */
/** @typedef {'shorter' | 'words' | 'tags' | 'blank'} Fallback */
/**
 * @typedef {object} CaptionMaps
 * @property {string} method
 * @property {HeatMap[]} words  One per word of the caption.
 * @property {HeatMap} caption
 */
/**
 * @typedef {object} Caption
 * @property {'caption'} type
 * @property {number} seq
 * @property {string} text        The caption, or the likely part of it if there is a fallback.
 * @property {number | null} confidence  Probability that the caption, or the guess, is mostly
 *   right; null if the captioner is not calibrated. Then the words are only ranked.
 * @property {Word[]} words       Of the text; empty if it only names objects.
 * @property {Tag[]} tags         By descending probability.
 * @property {Fallback | null} fallback  What the text is if the confidence is too low; "blank" if the
 *   frame shows nothing.
 * @property {string} guess       The caption with too low a confidence; empty without a fallback.
 * @property {string} runner_up   The next best caption that was found; empty if none is known.
 * @property {string} instead_of  The caption that the search ranked first, if this one was chosen
 *   because it agrees better with how similar images are described; else empty.
 * @property {boolean} kept       Whether it repeats the last one because the scene has not changed.
 * @property {string} note        What the source states about the frame; usually empty.
 * @property {CaptionMaps | null} maps  Null if they were not computed.
 * @property {{width: number, height: number}} frame  In pixels.
 * @property {number} age_ms      Age of the frame when the caption was sent.
 * @property {number | null} total_ms  Time from the frame to the caption.
 * @property {number | null} wait_ms  Of that, the time that the frame waited for the captioner.
 * @property {string} replica     Of a captioner pool; empty without one.
 */

/** Below this confidence, a caption may be less certain than an object of the frame. */
const DOUBTFUL = 0.4;
const CERTAIN_TAG = 0.85;

/** @type {Fallback[]} */
const FALLBACKS = ['shorter', 'words', 'tags', 'blank'];

/** @param {JsonObject} message @returns {Caption | null}  Null if it is malformed. */
export function readCaption(message) {
  if (typeof message.text !== 'string') return null;
  const confidence = probabilityOrNull(message.confidence);
  const scored = asArray(message.words).flatMap(readWord);
  const words = confidence === null ? rankWords(scored) : scored;
  const { width, height } = asObject(message.frame);
  return {
    type: 'caption',
    seq: asNumber(message.seq, 0),
    text: message.text,
    confidence,
    words,
    tags: asArray(message.tags).flatMap(readScored),
    fallback: FALLBACKS.find((each) => each === message.fallback) ?? null,
    guess: asString(message.guess),
    runner_up: asString(message.runner_up),
    instead_of: asString(message.instead_of),
    kept: message.kept === true,
    note: asString(message.note),
    maps: readMaps(message.maps, words.length),
    frame: { width: Math.max(0, asNumber(width, 0)), height: Math.max(0, asNumber(height, 0)) },
    age_ms: Math.max(0, asNumber(message.age_ms, 0)),
    total_ms: numberOrNull(asObject(message.timing_ms).total),
    wait_ms: numberOrNull(asObject(message.timing_ms).wait),
    replica: asString(message.replica),
  };
}

/**
 * @param {unknown} value
 * @param {number} count  Words of the caption.
 * @returns {CaptionMaps | null}
 */
function readMaps(value, count) {
  const { method, words, caption } = asObject(value);
  const whole = readHeatMap(caption);
  const maps = asArray(words).flatMap((map) => readHeatMap(map) ?? []);
  if (typeof method !== 'string' || !whole) return null;
  return asArray(words).length === count && maps.length === count
    ? { method, words: maps, caption: whole }
    : null;
}

/** @param {unknown} value @returns {Word[]}  One, or none if it is malformed. */
function readWord(value) {
  const { text, prob, alternatives, confidence } = asObject(value);
  if (typeof text !== 'string') return [];
  return [
    {
      text,
      confidence: probabilityOrNull(confidence),
      prob: probabilityOrNull(prob),
      rank: null,
      alternatives: asArray(alternatives).flatMap(readScored),
    },
  ];
}

/**
 * Replaces the probabilities of words, which are not calibrated, by ranks.
 *
 * @param {Word[]} words
 * @returns {Word[]}  Equally probable words share the better place.
 */
function rankWords(words) {
  const probs = words.flatMap(({ prob }) => prob ?? []).sort((one, other) => other - one);
  return words.map(({ text, prob, alternatives }) => ({
    text,
    confidence: null,
    prob: null,
    rank: prob === null ? null : { place: probs.indexOf(prob) + 1, count: words.length },
    alternatives: alternatives.map((other) => ({ text: other.text, prob: null })),
  }));
}

/** @param {unknown} value */
function probabilityOrNull(value) {
  return numberOrNull(value) === null ? null : asProbability(value);
}

/**
 * @param {unknown} value
 * @returns {{text: string, prob: number}[]}  One, or none if it is malformed.
 */
function readScored(value) {
  const { text, prob } = asObject(value);
  return typeof text === 'string' ? [{ text, prob: asProbability(prob) }] : [];
}

/**
 * Returns the tag to show first: one that is almost certain, when the caption is doubtful. The server
 * does the same on the returned video, see `stream/captioning/event.py`.
 *
 * @param {Pick<Caption, 'confidence' | 'fallback' | 'tags'>} caption
 * @returns {Tag | null}
 */
export function leadingTag({ confidence, fallback, tags }) {
  if (fallback === 'blank' || confidence === null || confidence >= DOUBTFUL) return null;
  const [best] = tags;
  return best && best.prob >= CERTAIN_TAG ? best : null;
}

/**
 * Returns the tags that a caption consists of, if it does.
 *
 * @param {Pick<Caption, 'confidence' | 'fallback' | 'tags'>} caption
 * @returns {Tag[] | null}  Without the leading one.
 */
export function listedTags(caption) {
  if (caption.fallback !== 'tags') return null;
  return leadingTag(caption) ? caption.tags.slice(1) : caption.tags;
}

/**
 * Splits a caption into the tag that leads, a prefix that states low confidence or a missing caption,
 * and the rest. Each may be empty. The prefix is in English, as on the returned video.
 *
 * @param {Pick<Caption, 'confidence' | 'fallback' | 'tags' | 'text'>} caption
 * @returns {{lead: string, prefix: string, text: string}}
 */
export function splitCaption(caption) {
  const { fallback, text } = caption;
  const leading = leadingTag(caption);
  if (leading) {
    const rest =
      listedTags(caption)
        ?.map((tag) => tag.text)
        .join(', ') ?? text;
    const lead = `${capitalized(leading.text)} (${percent(leading.prob)})`;
    return { lead, prefix: rest === '' ? '' : 'Possibly:', text: uncapitalized(rest) };
  }
  const lead = '';
  if (fallback === 'blank') {
    return { lead, prefix: 'Nothing to describe: the frame is blank.', text: '' };
  }
  if (text === '') {
    const prefix = fallback === null ? 'No caption for this frame.' : 'Not sure.';
    return { lead, prefix, text };
  }
  if (fallback === null) return { lead, prefix: '', text };
  return { lead, prefix: 'Not sure. Possibly:', text: uncapitalized(text) };
}

/** @param {string} text */
export function capitalized(text) {
  return text.charAt(0).toUpperCase() + text.slice(1);
}

/** @param {string} text */
function uncapitalized(text) {
  return text.charAt(0).toLowerCase() + text.slice(1);
}

/**
 * Returns a caption as one text in English: to be spoken, kept and compared.
 *
 * @param {Pick<Caption, 'confidence' | 'fallback' | 'tags' | 'text'>} caption
 * @returns {string}  Such as "A dog runs" or "Cat. Possibly: a dog"; without probabilities, so
 *   that captions that state the same have the same text.
 */
export function captionText(caption) {
  const { prefix, text } = splitCaption(caption);
  const lead = capitalized(leadingTag(caption)?.text ?? '');
  const rest = `${prefix} ${text}`.trim();
  return lead !== '' && rest !== '' ? `${lead}. ${rest}` : lead + rest;
}

/**
 * @param {Pick<Caption, 'guess' | 'words'>} caption
 * @returns {string[]}  The distinct words of the full caption, even if its confidence is too low.
 */
export function captionWords({ guess, words }) {
  const all = guess === '' ? words.map(({ text }) => text) : guess.toLowerCase().split(/\s+/);
  return [...new Set(all)];
}

/**
 * Returns a tag as a word, for a caption that only lists its tags.
 *
 * @param {Tag} tag
 * @returns {Word}
 */
export function wordOfTag(tag) {
  return { text: tag.text, confidence: tag.prob, prob: null, rank: null, alternatives: [] };
}

/**
 * Returns the words to show: those of the caption with its capitalisation, the tags, or the objects
 * that are left of it.
 *
 * @param {Caption} caption
 * @returns {Word[]}
 */
export function shownWords(caption) {
  const listed = listedTags(caption);
  if (listed) return listed.map(wordOfTag);
  const { text } = splitCaption(caption);
  if (caption.fallback === 'words') return text.split(', ').map(plainWord);
  return caption.words.map((word, index) =>
    index === 0 ? { ...word, text: text.slice(0, word.text.length) } : word,
  );
}

/** @param {string} text @returns {Word}  A word of which nothing is known. */
function plainWord(text) {
  return { text, confidence: null, prob: null, rank: null, alternatives: [] };
}

/**
 * Underlines a word by its confidence or rank; one that has neither is not underlined.
 *
 * @param {HTMLElement} element
 * @param {Word} word
 */
export function underline(element, { confidence, rank }) {
  delete element.dataset.certainty;
  delete element.dataset.ranked;
  if (confidence !== null) {
    element.dataset.certainty = confidenceBand(confidence);
  } else if (rank === null) {
    element.dataset.ranked = 'no';
  } else {
    element.dataset.ranked = 'yes';
    const height = 1 - (rank.place - 1) / Math.max(1, rank.count - 1);
    element.style.setProperty('--rank', height.toFixed(2));
  }
}

/** @param {number} confidence */
function confidenceBand(confidence) {
  if (confidence >= 0.75) return 'sure';
  return confidence >= 0.5 ? 'fair' : 'guess';
}
