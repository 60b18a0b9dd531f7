// @ts-check
/** The list of analyses on the page: each with its progress, and buttons to show or drop it. */

import { createButton, createElement } from '../common/dom.js';
import { progressText, TITLES } from './analysis_text.js';

/** @typedef {import('../session/explanation_messages.js').AnalysisKind} AnalysisKind */
/** @typedef {import('./analysis_job.js').AnalysisJob} AnalysisJob */
/** @typedef {import('./analysis_job.js').Subject} Subject */
/** @typedef {import('./analysis_store.js').AnalysisStore} AnalysisStore */
/** @typedef {{item: HTMLElement, state: HTMLElement, drop: HTMLElement}} Row */

export class AnalysisNotices {
  #elements;
  #store;
  #onShow;
  /** @type {Map<AnalysisJob, Row>} */
  #rows = new Map();

  /**
   * @param {object} elements
   * @param {HTMLElement} elements.section
   * @param {HTMLElement} elements.list
   * @param {HTMLElement} elements.announcement  A live region.
   * @param {AnalysisStore} store
   * @param {(subject: Subject, kind: AnalysisKind) => void} onShow
   */
  constructor(elements, store, onShow) {
    this.#elements = elements;
    this.#store = store;
    this.#onShow = onShow;
  }

  /**
   * @param {AnalysisJob} job  One that has changed.
   * @param {boolean} isOpen   Whether the open dialog shows it, which announces it too.
   */
  update(job, isOpen) {
    const { jobs } = this.#store;
    for (const [known, { item }] of this.#rows) {
      if (jobs.includes(known)) continue;
      item.remove();
      this.#rows.delete(known);
    }
    if (jobs.includes(job)) this.#show(job, isOpen);
    this.#elements.section.hidden = this.#rows.size === 0;
  }

  /** @param {AnalysisJob} job @param {boolean} isOpen */
  #show(job, isOpen) {
    const { item, state, drop } = this.#rowOf(job);
    const isRunning = job.state === 'running';
    if (item.dataset.state !== job.state && !isRunning && !isOpen) {
      this.#elements.announcement.textContent = `${nameOf(job)}: ${endText(job)}`;
    }
    item.dataset.state = job.state;
    state.textContent = isRunning ? progressText(job) : endText(job);
    drop.textContent = isRunning ? 'Cancel' : 'Dismiss';
  }

  /** @param {AnalysisJob} job @returns {Row} */
  #rowOf(job) {
    const known = this.#rows.get(job);
    if (known) return known;
    const state = createElement('span', 'analysis-state');
    const show = createButton('Show', 'button');
    const drop = createButton('', 'link-button');
    show.addEventListener('click', () => this.#onShow(job.subject, job.kind));
    drop.addEventListener('click', () => this.#store.drop(job));
    for (const button of [show, drop]) button.setAttribute('aria-description', nameOf(job));
    const name = createElement('span', 'analysis-name', nameOf(job));
    const actions = createElement('span', 'actions', show, drop);
    const item = createElement('li', '', name, ' ', state, actions);
    const row = { item, state, drop };
    const { jobs } = this.#store;
    const [next] = jobs.slice(jobs.indexOf(job)).flatMap((each) => this.#rows.get(each) ?? []);
    this.#elements.list.insertBefore(item, next?.item ?? null);
    this.#rows.set(job, row);
    return row;
  }
}

/** @param {AnalysisJob} job */
function nameOf({ kind, subject }) {
  return `${TITLES[kind]} “${subject.caption}”`;
}

/** @param {AnalysisJob} job  One that has ended. */
function endText({ state, message }) {
  return state === 'done' ? 'Done' : message;
}
