// @ts-check
/** The adversarial analysis: its options, and its results with the captions word by word. */

import { captionWords } from '../captions/caption.js';
import { createElement, englishText, screenReaderText } from '../common/dom.js';
import { fixedText, significantText } from '../common/format.js';
import { gettext, gettextNodes, ngettext, pgettext } from '../common/i18n.js';
import { asArray, asNumber, asObject, asString, numberOrNull, oneOf } from '../common/json.js';

/** @typedef {import('../captions/caption.js').Caption} Caption */
/** @typedef {import('../session/model.js').Model} Model */
/** @typedef {'linf' | 'l2'} Norm */
/**
 * One word of the alignment of two captions.
 *
 * @typedef {object} Edit
 * @property {typeof EDIT_KINDS[number]} kind
 * @property {string} before  Empty if it was inserted.
 * @property {string} after   Empty if it was deleted.
 */
/** @typedef {{text: string, index: number, isFragile: boolean}} CaptionWord */
/**
 * @typedef {object} AttackReport
 * @property {string} clean        The caption of the frame.
 * @property {Edit[]} attacked     From that to the caption of the attacked frame.
 * @property {boolean} isLost     Whether the change is lost in whole grey levels.
 * @property {Compared[]} compared  Under a second attack: the captioner, and the hardened model
 *   and its control if there are any.
 * @property {number} comparedEpsilon  The size of that attack, in grey levels (L∞).
 * @property {number | null} byChance  Share of the words called fragile that are so by chance.
 * @property {number} epsilon      The size of the change, in grey levels.
 * @property {Norm} norm
 * @property {CaptionWord[]} words
 * @property {KeywordAttack[]} keywords
 */
/** @typedef {{model: string, clean: string, diff: Edit[]}} Compared  `clean` without an attack. */
/**
 * An attack that makes the caption contain or lose a word.
 *
 * @typedef {object} KeywordAttack
 * @property {'say' | 'lose'} aim
 * @property {string} word
 * @property {number | null} epsilon  The smallest change that did it; null if none up to `largest`.
 * @property {number} largest
 * @property {Norm} norm
 * @property {string} caption         The resulting caption.
 */

const EDIT_KINDS = /** @type {const} */ (['kept', 'substituted', 'inserted', 'deleted']);

const NO_HARDENED_OPTION = gettext(
  'This captioner has no hardened model to compare with. The attack works, but cannot show which words depend on fragile features.',
);
const NO_HARDENED_RESULT = gettext(
  'This captioner has no hardened model to compare with, so fragile words cannot be shown.',
);

/** @type {Record<string, string>} */
const MODEL_TITLES = {
  plain: gettext('Captioner under a second attack'),
  hardened: gettext('Hardened model under this attack'),
  control: gettext('Control, trained on noise instead'),
};

/** From here on, too many of the words called fragile are so by chance. */
const MOST_CHANCE = 0.5;

/** The form: the norm of the change, a word to add, a word to remove. */
export class AttackOptions {
  #elements;

  /**
   * @param {object} elements
   * @param {HTMLElement} elements.norms       Radio buttons.
   * @param {HTMLInputElement} elements.say
   * @param {HTMLElement} elements.sayWords    A `<datalist>`.
   * @param {HTMLInputElement} elements.lose
   * @param {HTMLElement} elements.loseWords
   */
  constructor(elements) {
    this.#elements = elements;
  }

  /**
   * @param {Caption} caption
   * @param {Model | null} model
   * @returns {string}  What the model cannot do; empty for nothing.
   */
  prepare(caption, model) {
    const { say, sayWords, lose, loseWords } = this.#elements;
    const own = captionWords(caption);
    const alternatives = caption.words.flatMap((word) => word.alternatives.map(({ text }) => text));
    const others = [...new Set(alternatives)].filter((word) => !own.includes(word));
    say.value = lose.value = '';
    loseWords.replaceChildren(...own.map((word) => new Option(word, word)));
    sayWords.replaceChildren(...others.map((word) => new Option(word, word)));
    return model?.hardened === false ? NO_HARDENED_OPTION : '';
  }

  get params() {
    const { norms, say, lose } = this.#elements;
    return {
      norm: norms.querySelector('input:checked')?.getAttribute('value') ?? 'linf',
      ...wordParam('say', say.value),
      ...wordParam('lose', lose.value),
    };
  }
}

/** @param {string} name @param {string} value */
function wordParam(name, value) {
  const word = value.trim().toLowerCase();
  return word === '' ? {} : { [name]: word };
}

/**
 * @param {unknown} json  The report.
 * @returns {HTMLElement[]}  None if it has no adversarial analysis.
 */
export function attackResults(json) {
  const report = readReport(json);
  if (report === null) return [];
  const cards = [...captionCards(report), ...report.keywords.map(keywordCard)];
  return [
    createElement('div', 'caption-cards', ...cards),
    createElement('p', 'about', legendText(report)),
  ];
}

/** @param {unknown} json @returns {AttackReport | null} */
function readReport(json) {
  const report = asObject(asObject(json).adversarial);
  const attacked = asObject(report.attacked);
  const comparison = asObject(report.comparison);
  if (typeof attacked.clean !== 'string') return null;
  const edits = readDiff(attacked.diff);
  const isChanged = edits.some(({ kind }) => kind !== 'kept');
  return {
    clean: attacked.clean,
    attacked: edits,
    isLost: isChanged && asObject(attacked.rounding).survives === false,
    compared: asArray(comparison.captions).map((value) => {
      const { model, clean, diff } = asObject(value);
      return { model: asString(model), clean: asString(clean), diff: readDiff(diff) };
    }),
    comparedEpsilon: asNumber(comparison.epsilon, 0),
    byChance: numberOrNull(comparison.by_chance),
    epsilon: asNumber(attacked.epsilon, 0),
    norm: readNorm(attacked.norm),
    words: asArray(report.words).map((value) => {
      const { text, index, fragile } = asObject(value);
      return { text: asString(text), index: asNumber(index, -1), isFragile: fragile === true };
    }),
    keywords: asArray(report.keywords).map(readKeyword),
  };
}

/** @param {unknown} value @returns {Edit[]} */
function readDiff(value) {
  return asArray(value).map((edit) => {
    const { kind, before, after } = asObject(edit);
    return {
      kind: oneOf(kind, EDIT_KINDS, 'kept'),
      before: asString(before),
      after: asString(after),
    };
  });
}

/** @param {unknown} value @returns {KeywordAttack} */
function readKeyword(value) {
  const { aim, word, smallest } = asObject(value);
  const { epsilon, largest, norm, caption } = asObject(smallest);
  return {
    aim: aim === 'lose' ? 'lose' : 'say',
    word: asString(word),
    epsilon: numberOrNull(epsilon),
    largest: asNumber(largest, 0),
    norm: readNorm(norm),
    caption: asString(caption),
  };
}

/** @param {unknown} value @returns {Norm} */
function readNorm(value) {
  return value === 'l2' ? 'l2' : 'linf';
}

/**
 * Returns the caption, the one after the attack, and those of all models after a second attack.
 *
 * @param {AttackReport} report
 */
function captionCards(report) {
  const { clean, attacked, isLost, compared, comparedEpsilon, epsilon, norm, words } = report;
  const fragile = words.filter(({ isFragile }) => isFragile);
  const hasHardened = compared.length > 1;
  const remarks = hasHardened
    ? [createElement('p', 'remark', ...fragileWordsNodes(fragile, report.byChance))]
    : [];
  const size = sizeText(epsilon, norm);
  const change = isLost
    ? gettext('changed by {size}. Lost when the image is stored in whole grey levels', { size })
    : gettext('changed by {size}', { size });
  const cards = [
    createCard(gettext('Original caption'), '', captionElement(clean, fragile), ...remarks),
    createCard(gettext('After the attack'), change, ...diffElements(attacked)),
  ];
  if (!hasHardened) {
    const none = createElement('p', 'about', NO_HARDENED_RESULT);
    return [...cards, createCard(gettext('Hardened model after the attack'), '', none)];
  }
  const attack = gettext('attacked by {size}', { size: sizeText(comparedEpsilon, 'linf') });
  const others = compared.map(({ model, clean: own, diff }) => {
    const title = MODEL_TITLES[model] ?? model;
    const without = gettextNodes('Without it: “{caption}”', { caption: englishText(own) });
    const before = own === clean ? [] : [createElement('p', 'remark', ...without)];
    return createCard(title, attack, ...diffElements(diff), ...before);
  });
  return [...cards, ...others];
}

/** @param {KeywordAttack} attack */
function keywordCard({ aim, word, epsilon, largest, norm, caption }) {
  const values = { word: englishText(word) };
  if (epsilon === null) {
    const title =
      aim === 'lose'
        ? gettextNodes('Could not make it drop “{word}”', values)
        : gettextNodes('Could not make it say “{word}”', values);
    return createCard(title, gettext('with a change of {size}', { size: sizeText(largest, norm) }));
  }
  const line = createElement('p', 'diff', caption);
  line.lang = 'en';
  const title =
    aim === 'lose'
      ? gettextNodes('Made to drop “{word}”', values)
      : gettextNodes('Made to say “{word}”', values);
  return createCard(title, gettext('changed by {size}', { size: sizeText(epsilon, norm) }), line);
}

/**
 * @param {string | (Node | string)[]} title
 * @param {string} remark
 * @param {...HTMLElement} body
 */
function createCard(title, remark, ...body) {
  return createElement(
    'section',
    'caption-card',
    createElement('h4', '', ...[title].flat()),
    createElement('p', 'remark', remark),
    ...body,
  );
}

/**
 * Returns the later caption with deleted words struck out and inserted words framed.
 *
 * @param {Edit[]} edits
 */
function diffElements(edits) {
  const line = createElement('p', 'diff');
  line.lang = 'en';
  for (const { kind, before, after } of edits) {
    if (kind === 'kept') {
      line.append(after || before, ' ');
      continue;
    }
    if (kind !== 'inserted')
      line.append(changeElement('del', pgettext('word', 'removed'), before), ' ');
    if (kind !== 'deleted')
      line.append(changeElement('ins', pgettext('word', 'added'), after), ' ');
  }
  const isSame = edits.every(({ kind }) => kind === 'kept');
  return isSame ? [line, createElement('p', 'remark', gettext('No change.'))] : [line];
}

/**
 * @param {'del' | 'ins'} tag
 * @param {string} label  For screen readers.
 * @param {string} word
 */
function changeElement(tag, label, word) {
  return createElement(tag, '', screenReaderText(`${label}: `), word);
}

/**
 * @param {string} caption
 * @param {CaptionWord[]} fragile
 */
function captionElement(caption, fragile) {
  const line = createElement('p', 'diff');
  line.lang = 'en';
  const fragileText = gettext('(fragile)');
  const indices = new Set(fragile.map(({ index }) => index));
  caption.split(' ').forEach((word, index) => {
    const shown = indices.has(index)
      ? createElement('mark', 'fragile', word, screenReaderText(` ${fragileText}`))
      : word;
    line.append(shown, ' ');
  });
  return line;
}

/**
 * @param {CaptionWord[]} fragile
 * @param {number | null} byChance
 * @returns {(Node | string)[]}
 */
function fragileWordsNodes(fragile, byChance) {
  if (fragile.length === 0) return [gettext('No word is kept by the hardened model alone.')];
  const words = createElement('span', '');
  [...new Set(fragile.map(({ text }) => text))].forEach((text, index) => {
    if (index > 0) words.append(pgettext('between words of a list', ', '));
    words.append(...gettextNodes('“{word}”', { word: englishText(text) }));
  });
  return byChance === null || byChance > MOST_CHANCE
    ? gettextNodes('The models disagree about: {words}.', { words })
    : gettextNodes('Rests on fragile features: {words}.', { words });
}

/** @param {AttackReport} report */
function legendText({ words }) {
  const changes = gettext('Struck out: removed by the attack. Framed: added.');
  if (!words.some(({ isFragile }) => isFragile)) return changes;
  const fragile = gettext(
    'Wavy underline: under the second attack, only the hardened model keeps the word.',
  );
  return `${changes} ${fragile}`;
}

/**
 * @param {number} epsilon  In grey levels.
 * @param {Norm} norm
 */
function sizeText(epsilon, norm) {
  const figure = epsilon < 10 ? significantText(epsilon, 2) : fixedText(epsilon, 0);
  if (norm === 'linf') return gettext('at most {figure} of 255 grey levels per pixel', { figure });
  return ngettext(
    '{figure} grey level in total (L2)',
    '{figure} grey levels in total (L2)',
    epsilon,
    { figure },
  );
}
