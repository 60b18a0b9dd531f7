// @ts-check
/** What the server tells of an analysis at its path, to whoever knows it. */

import { readAdvance } from './answers.js';
import { object, oneOf, pathOrNull, text, texts } from './json.js';

/** @typedef {import('./protocol.js').Advance} Advance */
/**
 * @typedef {object} Status
 * @property {'running' | 'done' | 'failed' | 'cancelled'} state
 * @property {Advance} advance
 * @property {string} message        Why it failed or was ended; else empty.
 * @property {string[]} summary
 * @property {string | null} report  Path of an HTML page; null until it is done.
 * @property {string | null} data    Path of JSON; null until it is done.
 */

const STATES = /** @type {const} */ (['running', 'done', 'failed', 'cancelled']);
const GONE = 404;
const ANSWER_LIMIT_MS = 10_000;

/**
 * @param {string} path
 * @param {AbortSignal} signal
 * @returns {Promise<Status | null>}  Null if the server knows of no such analysis (any more);
 *   rejects when it does not answer.
 */
export async function fetchStatus(path, signal) {
  const response = await ask(path, signal);
  if (response.status === GONE) return null;
  if (!response.ok) throw new Error(`HTTP status ${response.status}`);
  return readStatus(await response.json());
}

/**
 * @param {string} path  Of what an analysis left.
 * @param {AbortSignal} signal
 * @returns {Promise<unknown>}  JSON; null if it is gone. Rejects when the server does not answer.
 */
export async function fetchFigures(path, signal) {
  const response = await ask(path, signal);
  return response.ok ? response.json() : null;
}

/** Has the server give up or forget an analysis. @param {string} path */
export async function dropAnalysis(path) {
  // A server that does not hear it forgets by itself, only later.
  await fetch(path, { method: 'DELETE' }).catch(() => {});
}

/** @param {string} path @param {AbortSignal} signal */
async function ask(path, signal) {
  const abandon = new AbortController();
  const onAbort = () => abandon.abort();
  const timer = setTimeout(onAbort, ANSWER_LIMIT_MS);
  signal.addEventListener('abort', onAbort);
  try {
    return await fetch(path, { signal: abandon.signal });
  } finally {
    clearTimeout(timer);
    signal.removeEventListener('abort', onAbort);
  }
}

/** @param {unknown} value @returns {Status} */
function readStatus(value) {
  const status = object(value);
  const files = object(status.files);
  const [report, data] = [pathOrNull(files['report.html']), pathOrNull(files['report.json'])];
  const state = oneOf(status.state, STATES, 'failed');
  return {
    state: state === 'done' && (report === null || data === null) ? 'failed' : state,
    advance: readAdvance(status),
    message: text(status.message),
    summary: texts(status.summary),
    report,
    data,
  };
}
