// @ts-check
/** The analyses of this tab, kept in the session storage so that they survive a reload. */

import {
  asArray,
  asNumber,
  asObject,
  asString,
  oneOf,
  parseJson,
  pathOrNull,
} from '../common/json.js';
import { ANALYSIS_KINDS } from '../session/explanation_messages.js';
import { AnalysisJob } from './analysis_job.js';

/** @typedef {import('../session/explanation_messages.js').AnalysisKind} AnalysisKind */
/** @typedef {import('../session/requests.js').Requests} Requests */
/** @typedef {import('./analysis_job.js').Subject} Subject */

/** With more, the oldest one that is done is dropped. */
const MAX_JOBS = 4;
/** With the path, since a reverse proxy may serve several servers as one site. */
const STORAGE_KEY = `analyses ${location.pathname}`;

export class AnalysisStore {
  #requests;
  #onChange;
  /** Newest first. @type {AnalysisJob[]} */
  #jobs = [];
  /**
   * Seconds that the last job of each kind took from its start to its end; without those that
   * learn concepts, which take far longer.
   *
   * @type {Map<AnalysisKind, number>}
   */
  tookS = new Map();

  /**
   * @param {Requests} requests
   * @param {(job: AnalysisJob) => void} onChange  Called for every change of a job.
   */
  constructor(requests, onChange) {
    this.#requests = requests;
    this.#onChange = onChange;
  }

  /** All jobs that were not dropped, the newest first. */
  get jobs() {
    return this.#jobs;
  }

  /**
   * @param {AnalysisKind} kind
   * @param {Subject} subject
   * @returns {AnalysisJob | null}  The newest job of that kind about that caption.
   */
  find(kind, { stream, seq }) {
    return (
      this.#jobs.find(
        ({ kind: other, subject }) =>
          other === kind && subject.stream === stream && subject.seq === seq,
      ) ?? null
    );
  }

  /**
   * Starts a job, in place of the last one of its kind about the same caption.
   *
   * @param {AnalysisKind} kind
   * @param {Subject} subject
   * @param {object} params
   */
  start(kind, subject, params) {
    const previous = this.find(kind, subject);
    if (previous) this.drop(previous);
    const startedAt = performance.now();
    const isUsual = !('scope' in params) || params.scope === 'bank';
    const job = new AnalysisJob(kind, subject, null, (changed) => {
      if (changed.state === 'done' && isUsual) {
        this.tookS.set(kind, (performance.now() - startedAt) / 1000);
      }
      this.#changed(changed);
    });
    const oldestDone = this.#jobs.findLast(({ state }) => state === 'done');
    if (this.#jobs.length >= MAX_JOBS && oldestDone) this.drop(oldestDone);
    this.#jobs = [job, ...this.#jobs];
    job.start(this.#requests, params);
    this.#changed(job);
    return job;
  }

  /** Resumes the jobs that were started before the page was reloaded. */
  resume() {
    for (const { path, kind, subject } of readStorage()) {
      const job = new AnalysisJob(kind, subject, path, (changed) => {
        // One that has expired meanwhile is of no interest any more.
        if (changed.isGone) this.drop(changed);
        else this.#changed(changed);
      });
      this.#jobs.push(job);
      job.poll();
    }
  }

  /** Cancels a job or deletes its results. @param {AnalysisJob} job */
  drop(job) {
    if (!this.#jobs.includes(job)) return;
    this.#jobs = this.#jobs.filter((other) => other !== job);
    const reportsItsEnd = job.state === 'running';
    if (job.state !== 'ended') job.drop();
    if (!reportsItsEnd) this.#changed(job);
  }

  /** @param {AnalysisJob} job */
  #changed(job) {
    this.#save();
    this.#onChange(job);
  }

  #save() {
    const saved = this.#jobs
      .filter(({ state, path }) => state !== 'ended' && path !== null)
      .map(({ path, kind, subject }) => ({ path, kind, subject }));
    try {
      sessionStorage.setItem(STORAGE_KEY, JSON.stringify(saved));
    } catch {
      // Some browsers are set to store nothing; then jobs do not survive a reload.
    }
  }
}

/** @returns {{path: string, kind: AnalysisKind, subject: Subject}[]} */
function readStorage() {
  let stored;
  try {
    stored = sessionStorage.getItem(STORAGE_KEY) ?? '';
  } catch {
    return [];
  }
  return asArray(parseJson(stored)).flatMap((value) => {
    const { path: storedPath, kind, subject } = asObject(value);
    const path = pathOrNull(storedPath);
    if (path === null) return [];
    return [
      { path, kind: oneOf(kind, ANALYSIS_KINDS, 'adversarial'), subject: readSubject(subject) },
    ];
  });
}

/** @param {unknown} value @returns {Subject} */
function readSubject(value) {
  const { stream, seq, caption, taken } = asObject(value);
  return {
    stream: asString(stream),
    seq: asNumber(seq, 0),
    caption: asString(caption),
    taken: asNumber(taken, 0),
  };
}
