// @ts-check
/** What the page says about a caption and its words, in its own language. */

import { createElement, englishText } from '../common/dom.js';
import { percent } from '../common/format.js';
import { fill, gettext, gettextNodes, pgettext } from '../common/i18n.js';
import { capitalized, leadingTag, splitCaption } from './caption.js';

/** @typedef {import('./caption.js').Caption} Caption */
/** @typedef {import('./caption.js').Word} Word */
/** @typedef {(Node | string)[]} Sentence  With words of a caption as elements. */

/**
 * Lowest confidence of each text for a caption as a whole.
 *
 * @type {[number, string][]}
 */
const CONFIDENCE_TEXTS = [
  [0.85, gettext('Sure, {percent}')],
  [0.6, gettext('Fairly sure, {percent}')],
  [0.4, gettext('Unsure, {percent}')],
  [0, gettext('Very unsure, {percent}')],
];

/** Those of captions, in the language of the page. @type {Record<string, string>} */
const PREFIXES = {
  'Possibly:': gettext('Possibly:'),
  'Nothing to describe: the frame is blank.': gettext('Nothing to describe: the frame is blank.'),
  'No caption for this frame.': gettext('No caption for this frame.'),
  'Not sure.': gettext('Not sure.'),
  'Not sure. Possibly:': gettext('Not sure. Possibly:'),
};

/**
 * Splits a caption as `splitCaption` does, with the prefix in the language of the page.
 *
 * @param {Pick<Caption, 'confidence' | 'fallback' | 'tags' | 'text'>} caption
 * @returns {{lead: string, prefix: string, text: string}}
 */
export function splitForPage(caption) {
  const split = splitCaption(caption);
  return { ...split, prefix: PREFIXES[split.prefix] ?? '' };
}

/**
 * @param {Pick<Caption, 'confidence' | 'fallback' | 'tags' | 'text'>} caption
 * @returns {(Node | string)[]}  The caption in one line, as `captionText` has it, with the prefix in
 *   the language of the page.
 */
export function captionNodes(caption) {
  const { prefix, text } = splitForPage(caption);
  const lead = capitalized(leadingTag(caption)?.text ?? '');
  const rest = prefix !== '' && text !== '' ? `${prefix} ` : prefix;
  const isFollowed = lead !== '' && rest + text !== '';
  return [
    ...(lead === '' ? [] : [englishText(lead), isFollowed ? '. ' : '']),
    rest,
    ...(text === '' ? [] : [englishText(text)]),
  ].filter((node) => node !== '');
}

/**
 * Returns what a captioner with a consensus chose the caption over.
 *
 * @param {Pick<Caption, 'fallback' | 'instead_of'>} caption
 * @returns {(Node | string)[]}  Empty if it is the one that the search ranked first, or not shown.
 */
export function choiceNodes({ fallback, instead_of: other }) {
  if (other === '' || fallback !== null) return [];
  return gettextNodes('Chosen over “{caption}” because similar images are described this way.', {
    caption: englishText(other),
  });
}

/**
 * @param {Pick<Caption, 'fallback' | 'instead_of' | 'runner_up'>} caption
 * @returns {(Node | string)[]}  The runner-up, and what the caption was chosen over; empty if
 *   neither is known.
 */
export function otherCaptionsNodes(caption) {
  const choice = choiceNodes(caption);
  if (caption.runner_up === '') return choice;
  const values = { caption: englishText(caption.runner_up) };
  if (choice.length > 0 && caption.runner_up === caption.instead_of) {
    return gettextNodes(
      'Chosen over the runner-up, “{caption}”, because similar images are described this way.',
      values,
    );
  }
  return [...gettextNodes('Runner-up: “{caption}”.', values), ' ', ...choice];
}

/**
 * @param {Pick<Caption, 'confidence' | 'fallback'>} caption
 * @returns {string}  Such as "Fairly sure, 72%".
 */
export function confidenceText({ confidence, fallback }) {
  if (fallback === 'blank') return '';
  if (confidence === null) return gettext('Not calibrated');
  const values = { percent: percent(confidence) };
  if (fallback !== null) return gettext('Not sure, {percent}', values);
  return fill(CONFIDENCE_TEXTS.find(([lowest]) => confidence >= lowest)?.[1] ?? '', values);
}

/**
 * Returns what the page says about a word's confidence.
 *
 * @param {Pick<Word, 'confidence' | 'rank'>} word
 * @returns {string}  Such as "67%" or "ranked 3 of 8"; empty if it is unknown.
 */
export function wordStanding({ confidence, rank }) {
  if (confidence !== null) return percent(confidence);
  return rank === null ? '' : gettext('ranked {place} of {count}', { ...rank });
}

/**
 * Returns a word in quotation marks with its confidence or rank.
 *
 * @param {Word} word
 * @returns {(Node | string)[]}  Such as `“dog” 67%`.
 */
export function wordNodes(word) {
  const standing = wordStanding(word);
  const quoted = gettextNodes('“{word}”', { word: englishText(word.text) });
  return standing === '' ? quoted : [...quoted, ` ${standing}`];
}

/**
 * Describes a word: its confidence, and what it was chosen over, with the probabilities of being the
 * next word.
 *
 * @param {Word} word
 * @returns {Sentence[]}
 */
export function wordSentences(word) {
  const sentences = [[...wordNodes(word), pgettext('end of a sentence', '.')]];
  if (word.prob !== null) {
    sentences.push([gettext('As the next word: {percent}.', { percent: percent(word.prob) })]);
  }
  if (word.alternatives.length > 0) {
    const words = createElement('span', '');
    word.alternatives.forEach(({ text, prob }, index) => {
      if (index > 0) words.append(pgettext('between words of a list', ', '));
      words.append(englishText(text), prob === null ? '' : ` ${percent(prob)}`);
    });
    sentences.push(gettextNodes('Runners-up: {words}.', { words }));
  }
  return sentences;
}

/** @param {Sentence[]} sentences @returns {Sentence}  Without empty ones. */
export function inOneLine(sentences) {
  const shown = sentences.filter((parts) => parts.some((part) => part !== ''));
  return shown.flatMap((parts, index) => (index === 0 ? parts : [' ', ...parts]));
}

/**
 * Labels an element that shows a word: with its confidence or rank too, for screen readers.
 *
 * @param {HTMLElement} element
 * @param {Word} word
 */
export function labelWord(element, word) {
  if (wordStanding(word) === '') element.removeAttribute('aria-label');
  else element.setAttribute('aria-label', wordLabel(word));
}

/**
 * Names a word with its confidence or rank.
 *
 * @param {Word} word
 */
export function wordLabel(word) {
  const { text, confidence, rank } = word;
  if (confidence !== null) {
    return gettext('{word}, {percent} sure', { word: text, percent: percent(confidence) });
  }
  return rank === null
    ? text
    : gettext('{word}, ranked {place} of {count}', { word: text, ...rank });
}
