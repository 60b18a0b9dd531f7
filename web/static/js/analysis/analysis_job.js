// @ts-check
/**
 * An analysis that runs on the server: started over the data channel, followed to its end, and
 * polled by its path when the connection is lost or the page was reloaded.
 */

import { gettext } from '../common/i18n.js';
import { asObject, asString, asStrings, oneOf, pathOrNull } from '../common/json.js';
import { readJobProgress } from '../session/explanation_messages.js';
import { RequestError } from '../session/requests.js';
import { analysisErrorText, JOB_GONE, reasonText } from './analysis_text.js';

/** @typedef {import('../session/explanation_messages.js').AnalysisKind} AnalysisKind */
/** @typedef {import('../session/explanation_messages.js').JobProgress} JobProgress */
/** @typedef {import('../session/requests.js').Requests} Requests */
/**
 * The caption and the frame that an analysis is about.
 *
 * @typedef {object} Subject
 * @property {string} stream
 * @property {number} seq
 * @property {string} caption  As shown to the user.
 * @property {number} taken    When the frame was captured, in milliseconds since 1970.
 */
/** @typedef {{summary: string[], report: string, data: string}} Results  Paths on the server. */
/**
 * @typedef {object} JobStatus
 * @property {'running' | 'done' | 'failed' | 'cancelled'} state
 * @property {JobProgress} progress
 * @property {string} message        Why it failed or was cancelled; else empty.
 * @property {string[]} summary
 * @property {string | null} report  Path of an HTML page; null until it is done.
 * @property {string | null} data    Path of JSON; null until it is done.
 */

const STATES = /** @type {const} */ (['running', 'done', 'failed', 'cancelled']);
const NOT_FOUND = 404;
const RESPONSE_TIMEOUT_MS = 10_000;
/** Errors of the data channel only: an analysis that has started goes on. */
const CHANNEL_ERRORS = new Set(['unconnected', 'silent', 'busy']);
const POLL_MS = 1_000;
const MAX_POLL_MS = 8_000;

export class AnalysisJob {
  /** @type {'running' | 'done' | 'ended'} */
  state = 'running';
  /** @type {JobProgress} */
  progress = { done: 0, left_s: null, doing: '' };
  /** Whether the last poll failed. */
  isUnreachable = false;
  /** Why it ended without results, for the user. @type {Node | string} */
  message = '';
  /** Whether the server dropped it before its end was known here. */
  isGone = false;
  /** @type {Results | null} */
  results = null;
  /** The analysed frame, as long as the page has it. @type {HTMLImageElement | null} */
  image = null;
  #isPolled = false;
  #path;
  #onChange;
  #dropped = new AbortController();
  /** @type {unknown} */
  #report = null;

  /**
   * @param {AnalysisKind} kind
   * @param {Subject} subject
   * @param {string | null} path  On the server; null until it has started.
   * @param {(job: AnalysisJob) => void} onChange
   */
  constructor(kind, subject, path, onChange) {
    this.kind = kind;
    this.subject = subject;
    this.#path = path;
    this.#onChange = onChange;
  }

  get path() {
    return this.#path;
  }

  /**
   * Starts it, and follows it to its end.
   *
   * @param {Requests} requests
   * @param {object} params
   */
  async start(requests, params) {
    const request = { seq: this.subject.seq, kind: this.kind, params };
    try {
      const result = await requests.analyze(request, this.#dropped.signal, (progress) => {
        this.#path ??= progress.analysis;
        this.progress = progress;
        this.#onChange(this);
      });
      this.#path = result.analysis;
      this.#finish(result);
    } catch (error) {
      if (!(error instanceof RequestError)) throw error;
      if (this.#dropped.signal.aborted) return;
      if (CHANNEL_ERRORS.has(error.code) && this.#path !== null) await this.poll();
      else this.#end(analysisErrorText(error));
    }
  }

  /** Follows it to its end by polling its path. */
  async poll() {
    const { signal } = this.#dropped;
    this.#isPolled = true;
    let pause = POLL_MS;
    while (!signal.aborted && this.state === 'running') {
      try {
        this.#applyStatus(await fetchStatus(this.#path ?? '', signal));
        pause = POLL_MS;
      } catch {
        if (signal.aborted) return;
        this.isUnreachable = true;
        pause = Math.min(2 * pause, MAX_POLL_MS);
        this.#onChange(this);
      }
      if (this.state === 'running') await sleep(pause, signal);
    }
  }

  /** @param {JobStatus | null} status */
  #applyStatus(status) {
    if (this.#dropped.signal.aborted) return;
    this.isUnreachable = false;
    if (status === null) {
      this.isGone = true;
      this.#end(JOB_GONE);
    } else if (status.state === 'running') {
      this.progress = status.progress;
      this.#onChange(this);
    } else if (status.state === 'done') {
      const { summary, report, data } = status;
      this.#finish({ summary, report: report ?? '', data: data ?? '' });
    } else {
      this.#end(reasonText(status.message));
    }
  }

  /** @returns {Promise<boolean>}  Whether the server still has the report. */
  async hasReport() {
    const status = await fetchStatus(this.#path ?? '', this.#dropped.signal).catch(() => null);
    return status !== null;
  }

  /** @returns {Promise<unknown>}  The report's JSON; null if the server no longer has it. */
  async report() {
    const { signal } = this.#dropped;
    this.#report ??= await fetchReport(this.results?.data ?? '', signal).catch(() => null);
    return this.#report;
  }

  /** Cancels it, or deletes its results, here and on the server. */
  drop() {
    this.#dropped.abort();
    if (this.#path !== null && (this.#isPolled || this.state !== 'running')) {
      deleteJob(this.#path);
    }
    if (this.state === 'running') this.#end(gettext('Cancelled.'));
  }

  /** @param {Results} results */
  #finish({ summary, report, data }) {
    this.state = 'done';
    this.results = { summary, report, data };
    this.#onChange(this);
  }

  /** @param {Node | string} message */
  #end(message) {
    this.state = 'ended';
    this.message = message;
    this.#onChange(this);
  }
}

/**
 * @param {string} path
 * @param {AbortSignal} signal
 * @returns {Promise<JobStatus | null>}  Null if the server has no such job. Rejects if it does not
 *   answer.
 */
async function fetchStatus(path, signal) {
  const response = await fetchJob(path, signal);
  if (response.status === NOT_FOUND) return null;
  if (!response.ok) throw new Error(`HTTP status ${response.status}`);
  return readStatus(await response.json());
}

/**
 * @param {string} path
 * @param {AbortSignal} signal
 * @returns {Promise<unknown>}  JSON; null if it is gone. Rejects if the server does not answer.
 */
async function fetchReport(path, signal) {
  const response = await fetchJob(path, signal);
  return response.ok ? response.json() : null;
}

/** @param {string} path @param {AbortSignal} signal */
function fetchJob(path, signal) {
  return fetch(path, {
    signal: AbortSignal.any([signal, AbortSignal.timeout(RESPONSE_TIMEOUT_MS)]),
  });
}

/** @param {string} path */
async function deleteJob(path) {
  // If the request fails, the server drops the job by itself later.
  await fetch(path, { method: 'DELETE' }).catch(() => {});
}

/** @param {unknown} value @returns {JobStatus} */
function readStatus(value) {
  const status = asObject(value);
  const files = asObject(status.files);
  const [report, data] = [pathOrNull(files['report.html']), pathOrNull(files['report.json'])];
  const state = oneOf(status.state, STATES, 'failed');
  return {
    state: state === 'done' && (report === null || data === null) ? 'failed' : state,
    progress: readJobProgress(status),
    message: asString(status.message),
    summary: asStrings(status.summary),
    report,
    data,
  };
}

/**
 * @param {number} ms
 * @param {AbortSignal} signal  Ends it early.
 */
function sleep(ms, signal) {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms);
    signal.addEventListener('abort', () => {
      clearTimeout(timer);
      resolve(undefined);
    });
  });
}
