// @ts-check
/** One kind of analysis in the study dialog: its options, its progress, its results and report. */

import { createButton, createElement, englishText, screenReaderText } from '../common/dom.js';
import { gettext } from '../common/i18n.js';
import { detailedProgressText, lastTimeText, TITLES } from './analysis_text.js';

/** @typedef {import('../captions/caption.js').Caption} Caption */
/** @typedef {import('../session/explanation_messages.js').AnalysisKind} AnalysisKind */
/** @typedef {import('../session/model.js').Model} Model */
/** @typedef {import('./analysis_job.js').AnalysisJob} AnalysisJob */
/** @typedef {'form' | AnalysisJob['state']} SectionState  `form` before an analysis is started. */
/**
 * @typedef {object} SectionElements
 * @property {HTMLElement} section
 * @property {HTMLFormElement} form
 * @property {HTMLElement} time  For how long it takes.
 * @property {HTMLElement} limitation  For what the model cannot do.
 */
/**
 * @typedef {object} Options
 * @property {(caption: Caption, model: Model | null) => string} prepare
 *   Fills the form, and returns what the model cannot do; empty for nothing.
 * @property {object} params  The selected options.
 */
/**
 * @typedef {object} Actions
 * @property {(kind: AnalysisKind, params: object) => void} start
 * @property {(job: AnalysisJob) => void} drop
 * @property {(...nodes: (Node | string)[]) => void} announce  To screen readers.
 */
/**
 * Renders a report's JSON, with the frame if the page still has it, and the folder of the report's
 * files on the server, which is empty if they are gone.
 *
 * @typedef {(report: unknown, frame: HTMLImageElement | null, folder: string) => HTMLElement[]}
 *   RenderResults
 */

/** Progress is announced to screen readers this often. */
const ANNOUNCE_MS = 15_000;
const REPORT_GONE = gettext('The server no longer has the report. These results stay.');

export class AnalysisSection {
  #elements;
  #options;
  #renderResults;
  #actions;
  #message = createElement('p', 'analysis-message');
  #remark = createElement('p', '');
  #bar = createElement('progress', '');
  #cancel = createButton(gettext('Cancel'), 'button');
  #work = createElement('div', 'work', this.#remark, this.#bar, this.#cancel);
  #again = createButton(gettext('Run again'), 'link-button');
  #results = createElement('div', 'results');
  /** @type {AnalysisJob | null} */
  #job = null;
  /** Whether it has something to show. */
  isOffered = false;
  /** Whether the frame is available for a new analysis. */
  #canStart = false;
  #announcedAt = -Infinity;

  /**
   * @param {AnalysisKind} kind
   * @param {SectionElements} elements
   * @param {Options} options
   * @param {RenderResults} renderResults
   * @param {Actions} actions
   */
  constructor(kind, elements, options, renderResults, actions) {
    this.kind = kind;
    this.#elements = elements;
    this.#options = options;
    this.#renderResults = renderResults;
    this.#actions = actions;
    this.#bar.setAttribute('aria-label', TITLES[kind]);
    this.#results.tabIndex = -1;
    this.#results.setAttribute('role', 'group');
    this.#results.setAttribute(
      'aria-label',
      gettext('Results: {analysis}', { analysis: TITLES[kind] }),
    );
    elements.section.append(this.#message, this.#work, this.#results, this.#again);
    elements.form.addEventListener('submit', (event) => {
      event.preventDefault();
      actions.start(kind, options.params);
    });
    this.#cancel.addEventListener('click', () => this.#job && actions.drop(this.#job));
    this.#again.addEventListener('click', () => {
      elements.form.hidden = false;
      this.#again.hidden = true;
      elements.form.querySelector('input')?.focus();
    });
  }

  /**
   * @param {Caption | null} caption  Null if its frame is gone.
   * @param {Model | null} model
   * @param {AnalysisJob | null} job  The one that exists already, if any.
   * @param {number | undefined} tookS  Seconds that the last one took; undefined if unknown.
   */
  open(caption, model, job, tookS) {
    const { limitation, time } = this.#elements;
    time.textContent = lastTimeText(tookS);
    this.#canStart = caption !== null;
    this.isOffered = this.#canStart || job !== null;
    limitation.textContent = caption ? this.#options.prepare(caption, model) : '';
    this.#clear();
    if (job) this.show(job);
    else this.#setState('form');
  }

  get id() {
    return this.#elements.section.id;
  }

  /** @param {AnalysisJob} job  A new one, or one that has changed. */
  show(job) {
    const before = this.#elements.section.dataset.state;
    if (job !== this.#job) this.#clear();
    this.#job = job;
    if (job.state === 'running') this.#showProgress(job);
    if (job.state === 'done' && before !== 'done') this.#showResults(job);
    if (job.state === 'ended') this.showMessage(job.message);
    this.#setState(job.state);
  }

  /** @param {AnalysisJob} job */
  shows(job) {
    return job === this.#job;
  }

  /** Shows why there are no results. @param {Node | string} message */
  showMessage(message) {
    this.#message.replaceChildren(message);
    this.#actions.announce(typeof message === 'string' ? message : message.cloneNode(true));
  }

  /** Renders the results again, after the frame has arrived. */
  refresh() {
    if (this.#job?.state === 'done') this.#showResults(this.#job);
  }

  close() {
    this.#clear();
    delete this.#elements.section.dataset.state;
  }

  #clear() {
    this.#job = null;
    this.#message.textContent = '';
    this.#results.replaceChildren();
    this.#announcedAt = -Infinity;
  }

  /** @param {SectionState} state */
  #setState(state) {
    const { section, form } = this.#elements;
    const focused = section.contains(document.activeElement) ? document.activeElement : null;
    if (state !== section.dataset.state) {
      form.hidden = !this.#canStart || state === 'running' || state === 'done';
      this.#again.hidden = !this.#canStart || state !== 'done';
      this.#work.hidden = state !== 'running';
      section.dataset.state = state;
    }
    if (state === 'running') this.#message.textContent = '';
    // If the focused element is hidden now, the focus moves to its successor.
    if (focused?.closest('[hidden]')) this.#focusFor(state);
  }

  /** @param {SectionState} state */
  #focusFor(state) {
    if (state === 'running') this.#cancel.focus();
    else if (state === 'done') this.#results.focus({ preventScroll: true });
    else this.#elements.form.querySelector('button')?.focus();
  }

  /** @param {AnalysisJob} job */
  #showProgress(job) {
    const text = detailedProgressText(job);
    this.#remark.textContent = text;
    if (job.path === null) this.#bar.removeAttribute('value');
    else this.#bar.value = job.progress.done;
    if (performance.now() - this.#announcedAt < ANNOUNCE_MS) return;
    this.#announcedAt = performance.now();
    this.#actions.announce(TITLES[this.kind], ' ', text);
  }

  /** @param {AnalysisJob} job */
  async #showResults(job) {
    if (job.results === null) return;
    const { summary, report, data } = job.results;
    const items = summary.map((line) => createElement('li', '', englishText(line)));
    const list = createElement('ul', 'summary', ...items);
    const isFirst = this.#results.childElementCount === 0;
    this.#results.replaceChildren(list);
    if (isFirst) {
      this.#actions.announce(TITLES[this.kind], ' ', englishText(summary.join(' ')));
    }
    const [json, hasReport] = await Promise.all([job.report(), job.hasReport()]);
    if (job !== this.#job || this.#results.firstElementChild !== list) return;
    this.#results.append(
      ...this.#renderResults(json, job.image, hasReport ? folderOf(data) : ''),
      hasReport ? reportLinks(report, data) : createElement('p', 'about', REPORT_GONE),
    );
    this.#elements.section.dataset.shown = 'true';
  }
}

/**
 * Returns links to open and to download a report. It is not shown in place: a page that scrolls
 * within one that scrolls is a trap.
 *
 * @param {string} report  Path of an HTML page.
 * @param {string} data    Path of JSON.
 */
function reportLinks(report, data) {
  const newTab = gettext('(in a new tab)');
  const open = createElement('a', 'button', gettext('Open report'), screenReaderText(` ${newTab}`));
  open.href = report;
  open.target = '_blank';
  open.rel = 'noopener';
  const downloads = [
    downloadLink(gettext('Download report'), report),
    downloadLink(gettext('Download data'), data),
  ];
  return createElement('p', 'actions', open, ...downloads);
}

/** @param {string} label @param {string} path */
function downloadLink(label, path) {
  const link = createElement('a', 'button', label);
  link.href = path;
  link.download = path.slice(path.lastIndexOf('/') + 1);
  return link;
}

/** @param {string} path @returns {string}  With a slash at its end. */
function folderOf(path) {
  return path.slice(0, path.lastIndexOf('/') + 1);
}
