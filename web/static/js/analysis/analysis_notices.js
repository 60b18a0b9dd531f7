// @ts-check
/** The list of analyses on the page: each with its progress, and buttons to show or drop it. */

import { createButton, createElement, englishText, setNodes, setText } from '../common/dom.js';
import { gettext, gettextNodes } from '../common/i18n.js';
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
      const values = { analysis: nameElement(job), result: endNode(job) };
      this.#elements.announcement.replaceChildren(...gettextNodes('{analysis}: {result}', values));
    }
    item.dataset.state = job.state;
    setNodes(state, [isRunning ? progressText(job) : endNode(job)]);
    setText(drop, isRunning ? gettext('Cancel') : gettext('Dismiss'));
  }

  /** @param {AnalysisJob} job @returns {Row} */
  #rowOf(job) {
    const known = this.#rows.get(job);
    if (known) return known;
    const state = createElement('span', 'analysis-state');
    const show = createButton(gettext('Show'), 'button');
    const drop = createButton('', 'link-button');
    show.addEventListener('click', () => this.#onShow(job.subject, job.kind));
    drop.addEventListener('click', () => this.#store.drop(job));
    for (const button of [show, drop]) button.setAttribute('aria-description', nameOf(job));
    const name = nameElement(job);
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
  return gettext('{analysis} “{caption}”', { analysis: TITLES[kind], caption: subject.caption });
}

/** @param {AnalysisJob} job */
function nameElement({ kind, subject }) {
  const values = { analysis: TITLES[kind], caption: englishText(subject.caption) };
  return createElement('span', 'analysis-name', ...gettextNodes('{analysis} “{caption}”', values));
}

/** @param {AnalysisJob} job  One that has ended. */
function endNode({ state, message }) {
  if (state === 'done') return gettext('Done');
  return typeof message === 'string' ? message : message.cloneNode(true);
}
