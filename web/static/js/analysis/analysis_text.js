// @ts-check
/** Text about analyses: titles, progress and errors. */

import { durationText, sentence, timeLeftText } from '../common/format.js';

/** @typedef {import('../session/explanation_messages.js').AnalysisKind} AnalysisKind */
/** @typedef {import('../session/requests.js').RequestError} RequestError */
/** @typedef {import('./analysis_job.js').AnalysisJob} AnalysisJob */

/** @type {Record<AnalysisKind, string>} */
export const TITLES = {
  adversarial: 'How easily is it fooled?',
  ace: 'Which concepts does it use?',
};

export const JOB_GONE = 'The server no longer has this analysis.';
const NO_REASON = 'The analysis failed. The server gave no reason.';

/** @type {Record<string, string>} */
const ERROR_TEXTS = {
  busy: 'Other analyses are running on the server. Try again in a moment.',
  'captioner-paused': 'The captioner is paused. Try again when captions resume.',
  gone: 'The server no longer has this frame. Freeze another caption.',
  unconnected: 'Not connected.',
  silent: 'The server did not respond. Try again.',
  cancelled: 'Cancelled.',
};

/** @param {RequestError} error */
export function analysisErrorText({ code, message }) {
  return ERROR_TEXTS[code] ?? reasonText(message);
}

/**
 * @param {number | undefined} seconds  That the last analysis took; undefined if unknown.
 * @returns {string}  How long to expect to wait.
 */
export function lastTimeText(seconds) {
  return seconds === undefined
    ? 'The time left is shown while it runs.'
    : `The last one took ${durationText(seconds)}.`;
}

/** @param {AnalysisJob} job  A running one. @returns {string}  Such as "40%, about 9 s left". */
export function progressText({ progress: { done, left_s } }) {
  return `${Math.floor(done * 100)}%${left_s === null ? '' : `, ${timeLeftText(left_s)} left`}`;
}

/** @param {AnalysisJob} job  A running one. @returns {string}  The progress with its step. */
export function detailedProgressText(job) {
  if (job.isUnreachable) return 'The server does not respond. Retrying…';
  if (job.path === null) return 'Starting…';
  return `${job.progress.doing || 'Running'}: ${progressText(job)}.`;
}

/** @param {string} message  The server's reason; may be empty. */
export function reasonText(message) {
  return message === '' ? NO_REASON : sentence(message);
}
