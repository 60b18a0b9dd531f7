// @ts-check
/** What to tell people when a question is not answered, and whether to ask again. */

import { Refusal } from './questions.js';

/** @type {Record<string, string>} */
const TEXTS = {
  busy: 'The captioner is busy with other questions.',
  'captioner-paused': 'The captioner is paused and comes back by itself.',
  gone: 'The server no longer has this picture.',
  unconnected: 'There is no connection to ask by.',
  silent: 'No answer came.',
  cancelled: 'Cancelled.',
};
const FINAL = new Set(['gone', 'unconnected', 'cannot-explain']);

/**
 * @param {unknown} problem
 * @returns {{text: string, again: boolean}}  `again` says whether asking once more may help.
 */
export function refusalText(problem) {
  if (!(problem instanceof Refusal)) throw problem;
  const text = TEXTS[problem.code] ?? (problem.message || 'That cannot be told.');
  return { text, again: !FINAL.has(problem.code) };
}
