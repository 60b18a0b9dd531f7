// @ts-check
/** How easily the captioner is fooled: its caption, what becomes of it, and what stays. */

import { readAttackFindings } from './attack_findings.js';
import { make, unseen } from './element.js';
import { diffElement, isSame } from './word_diff.js';

/** @typedef {import('./attack_findings.js').AttackFindings} AttackFindings */
/** @typedef {import('./attack_findings.js').CaptionWord} CaptionWord */
/** @typedef {import('./attack_findings.js').Keyword} Keyword */
/** @typedef {import('./attack_findings.js').Norm} Norm */
/** @typedef {import('./word_diff.js').Edit} Edit */

const NO_HARDENED =
  'This captioner has no hardened model to compare with, so that no word can be told to rest on ' +
  'fragile features.';

/**
 * @param {unknown} report  The JSON of one.
 * @returns {HTMLElement[]}  None when it tells of no attack.
 */
export function attackElements(report) {
  const findings = readAttackFindings(report);
  if (findings === null) return [];
  const cards = [...sayings(findings), ...findings.keywords.map(keywordElement)];
  return [make('div', 'sayings', ...cards), make('p', 'about', legendText(findings))];
}

/** The three captions. @param {AttackFindings} findings */
function sayings({ clean, attacked, hardened, epsilon, norm, words }) {
  const fragile = words.filter(({ isFragile }) => isFragile);
  const remarks = hardened === null ? [] : [make('p', 'remark', fragileText(fragile))];
  return [
    saying('What it says', 'of the picture', captionElement(clean, fragile), ...remarks),
    saying(
      'What it says of the attacked picture',
      `changed by ${amountText(epsilon, norm)}`,
      ...changed(attacked),
    ),
    hardened === null
      ? saying('What the hardened model says of it', '', make('p', 'about', NO_HARDENED))
      : saying('What the hardened model says of it', 'of the attacked picture', ...changed(hardened)),
  ];
}

/** @param {Keyword} keyword */
function keywordElement({ aim, word, epsilon, largest, norm, caption }) {
  const done = `${aim} “${word}”`;
  if (epsilon === null) {
    const size = amountText(largest, norm);
    return saying(`Nothing made it ${done}`, `up to a change of ${size}`);
  }
  const line = make('p', 'diff', caption);
  line.lang = 'en';
  return saying(`Made to ${done}`, `changed by ${amountText(epsilon, norm)}`, line);
}

/**
 * @param {string} title
 * @param {string} remark
 * @param {...HTMLElement} body
 */
function saying(title, remark, ...body) {
  return make('section', 'saying', make('h4', '', title), make('p', 'remark', remark), ...body);
}

/** @param {Edit[]} edits */
function changed(edits) {
  const line = diffElement(edits);
  return isSame(edits) ? [line, make('p', 'remark', 'The same words.')] : [line];
}

/**
 * @param {string} caption
 * @param {CaptionWord[]} fragile
 */
function captionElement(caption, fragile) {
  const line = make('p', 'diff');
  line.lang = 'en';
  const places = new Set(fragile.map(({ index }) => index));
  caption.split(' ').forEach((word, index) => {
    const mark = () => make('mark', 'fragile', word, unseen(' (fragile)'));
    line.append(places.has(index) ? mark() : word, ' ');
  });
  return line;
}

/** @param {CaptionWord[]} fragile */
function fragileText(fragile) {
  if (fragile.length === 0) return 'No word rests on fragile features alone.';
  const names = [...new Set(fragile.map(({ text }) => `“${text}”`))];
  return `On fragile features ${names.length === 1 ? 'rests' : 'rest'} ${names.join(', ')}.`;
}

/** @param {AttackFindings} findings */
function legendText({ words }) {
  const fragile = words.some(({ isFragile }) => isFragile)
    ? ' With a wavy line: fragile, as the captioner loses it under the attack and the hardened ' +
      'model keeps it.'
    : '';
  return `Struck out: no longer said. Framed: said instead.${fragile}`;
}

/**
 * @param {number} epsilon
 * @param {Norm} norm
 */
function amountText(epsilon, norm) {
  const figure = epsilon < 10 ? Number(epsilon.toPrecision(2)) : Math.round(epsilon);
  const unit = figure === 1 ? 'grey level' : 'grey levels';
  return norm === 'linf'
    ? `at most ${figure} ${unit} of 255 a pixel`
    : `${figure} ${unit} in all (L2)`;
}
