// @ts-check
/** Text about analyses: titles, progress and errors. */

import { durationText, sentence, timeLeftText, wholePercent } from '../common/format.js';
import { gettext } from '../common/i18n.js';
import { serverNode } from '../session/server_texts.js';

/** @typedef {import('../session/explanation_messages.js').AnalysisKind} AnalysisKind */
/** @typedef {import('../session/requests.js').RequestError} RequestError */
/** @typedef {import('./analysis_job.js').AnalysisJob} AnalysisJob */

/** @type {Record<AnalysisKind, string>} */
export const TITLES = {
  adversarial: gettext('How easily is it fooled?'),
  ace: gettext('Which concepts does it use?'),
};

export const JOB_GONE = gettext('The server no longer has this analysis.');
const NO_REASON = gettext('The analysis failed. The server gave no reason.');

/** @type {Record<string, string>} */
const ERROR_TEXTS = {
  busy: gettext('Other analyses are running on the server. Try again in a moment.'),
  'captioner-paused': gettext('The captioner is paused. Try again when captions resume.'),
  gone: gettext('The server no longer has this frame. Freeze another caption.'),
  unconnected: gettext('Not connected.'),
  silent: gettext('The server did not respond. Try again.'),
  cancelled: gettext('Cancelled.'),
};

/** @param {RequestError} error @returns {Node | string} */
export function analysisErrorText({ code, message }) {
  return ERROR_TEXTS[code] ?? reasonText(message);
}

/**
 * @param {number | undefined} seconds  That the last analysis took; undefined if unknown.
 * @returns {string}  How long to expect to wait.
 */
export function lastTimeText(seconds) {
  return seconds === undefined
    ? gettext('The time left is shown while it runs.')
    : gettext('The last one took {duration}.', { duration: durationText(seconds) });
}

/** @param {AnalysisJob} job  A running one. @returns {string}  Such as "40%, about 9 s left". */
export function progressText({ progress: { done, left_s } }) {
  const percent = wholePercent(done);
  if (left_s === null) return percent;
  return gettext('{percent}, {left}', { percent, left: timeLeftText(left_s) });
}

/** @param {AnalysisJob} job  A running one. @returns {string}  The progress with its step. */
export function detailedProgressText(job) {
  if (job.isUnreachable) return gettext('The server does not respond. Retrying…');
  if (job.path === null) return gettext('Starting…');
  const step = job.progress.doing || gettext('Running');
  return gettext('{step}: {progress}.', { step, progress: progressText(job) });
}

/** @param {string} message  The server's reason; may be empty. @returns {Node | string} */
export function reasonText(message) {
  return message === '' ? NO_REASON : serverNode(sentence(message));
}
