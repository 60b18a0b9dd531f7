// @ts-check
/** How analyses, their progress and their refusals are put to people. */

/** @typedef {import('./analysis.js').Analysis} Analysis */
/** @typedef {import('./protocol.js').AnalysisKind} AnalysisKind */
/** @typedef {import('./questions.js').Refusal} Refusal */

/** @type {Record<AnalysisKind, string>} */
export const TITLES = {
  adversarial: 'How easily is it fooled?',
  ace: 'In what concepts does it think?',
};

export const GONE_TEXT = 'The server no longer has this analysis.';
const WITHOUT_REASON = 'The server gave it up without a reason.';

/** Share of the work before which nobody can tell how long the rest takes. */
const LEAST_TO_GO_BY = 0.03;

/** @type {Record<string, string>} */
const REFUSALS = {
  busy: 'Other analyses are under way on the server. Try again in a moment.',
  'captioner-paused': 'The captioner is paused and comes back by itself. Try again then.',
  gone: 'The server no longer has this picture. Freeze another caption.',
  unconnected: 'There is no connection to ask by.',
  silent: 'No answer came. Try again.',
  cancelled: 'Cancelled.',
};

/** @param {Refusal} refusal */
export function analysisRefusalText({ code, message }) {
  return REFUSALS[code] ?? reasonText(message);
}

/** @param {Analysis} analysis  One that is under way: "40%, about 9 s left". */
export function shareText({ advance: { done, left_s } }) {
  const isKnown = left_s !== null && done >= LEAST_TO_GO_BY;
  return `${Math.floor(done * 100)}%${isKnown ? `, ${leftText(left_s)} left` : ''}`;
}

/** @param {Analysis} analysis  One that is under way, in full. */
export function progressText(analysis) {
  if (analysis.isOutOfTouch) return 'The server does not answer. It is asked again and again.';
  if (analysis.path === null) return 'Asking the server.';
  const { doing } = analysis.advance;
  return `${doing === '' ? 'At work' : doing}: ${shareText(analysis)}.`;
}

/** @param {number} seconds */
export function leftText(seconds) {
  if (seconds < 1) return 'less than a second';
  return seconds < 90 ? `about ${Math.ceil(seconds)} s` : `about ${Math.round(seconds / 60)} min`;
}

/** @param {string} message  Of the server, which begins and ends it as it likes. */
export function reasonText(message) {
  if (message === '') return WITHOUT_REASON;
  const [first, ...rest] = message;
  return `${first.toUpperCase()}${rest.join('')}${/[.!?]$/.test(message) ? '' : '.'}`;
}
