// @ts-check
/**
 * Content words of a caption, stemmed. Two captions with the same ones say the same thing, so that
 * the second need not be announced. `content_words` in `models` has the same word lists.
 */

/** Function words, which do not change what a caption says. */
const STOP_WORDS = new Set(
  (
    'a an the this that these those some any other another ' +
    'of in on at to by for from with into onto over under above below near beside behind ' +
    'between through across along around against up down out off upon next front top side ' +
    'and or but while as who which what where there here ' +
    'is are was were be been being am has have having had do does doing ' +
    'it its he him his she her hers they them their very'
  ).split(' '),
);

const IRREGULAR = new Map([
  ['men', 'man'],
  ['women', 'woman'],
  ['children', 'child'],
  ['people', 'person'],
  ['feet', 'foot'],
  ['teeth', 'tooth'],
  ['mice', 'mouse'],
  ['wolves', 'wolf'],
  ['leaves', 'leaf'],
  ['ran', 'run'],
  ['sat', 'sit'],
  ['stood', 'stand'],
  ['held', 'hold'],
  ['worn', 'wear'],
]);

/**
 * @param {string} one
 * @param {string} other
 * @returns {boolean}  Whether both have the same content words.
 */
export function haveSameContent(one, other) {
  const [words, others] = [contentWords(one), contentWords(other)];
  return words.size === others.size && [...words].every((word) => others.has(word));
}

/**
 * @param {string} caption
 * @returns {Set<string>}  Stems.
 */
export function contentWords(caption) {
  const words = caption.toLowerCase().match(/[\p{L}\p{N}]+/gu) ?? [];
  return new Set(words.filter((word) => !STOP_WORDS.has(word)).map(stem));
}

/**
 * Reduces a word to a crude stem: "rides", "riding" and "ride" become one; so do "carries" and
 * "carrying".
 *
 * @param {string} word
 */
function stem(word) {
  const base = IRREGULAR.get(word) ?? word;
  const root = withoutVerbEnding(withoutPlural(base));
  return root.replace(/(?<=..)e$/, '').replace(/(?<=..)y$/, 'i');
}

/** @param {string} word */
function withoutPlural(word) {
  if (/ies$/.test(word) && word.length > 4) return word.replace(/ies$/, 'y');
  return /[^suai]s$/.test(word) && word.length > 3 ? word.slice(0, -1) : word;
}

/** @param {string} word */
function withoutVerbEnding(word) {
  const root = word.replace(/(ing|ed)$/, '');
  const isVerb = root !== word && root.length > 2 && /[aeiouy]/.test(root);
  return isVerb ? root.replace(/([bdgmnprt])\1$/, '$1') : word;
}
