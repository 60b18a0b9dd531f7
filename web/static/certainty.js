// @ts-check
/** How sure the captioner is: in percent, in words, and as the kind of line under a word. */

/** @typedef {import('./protocol.js').Caption} Caption */

/** From which confidence on a caption as a whole is called so. @type {[number, string][]} */
const GRADES = [
  [0.85, 'Sure'],
  [0.6, 'Fairly sure'],
  [0.4, 'Half sure'],
  [0, 'Hardly sure'],
];

/**
 * @param {Caption} caption
 * @returns {string}  Such as "Fairly sure, 72%".
 */
export function confidenceText({ confidence, fallback }) {
  const grade = GRADES.find(([least]) => confidence >= least)?.[1];
  return `${fallback === null ? grade : 'Not sure'}, ${percent(confidence)}`;
}

/** @param {number} prob */
export function certaintyBand(prob) {
  if (prob >= 0.6) return 'sure';
  return prob >= 0.3 ? 'fair' : 'guess';
}

/** @param {number} share */
export function percent(share) {
  if (share > 0.995 && share < 1) return 'over 99%';
  if (share < 0.005 && share > 0) return 'under 1%';
  return `${Math.round(share * 100)}%`;
}
