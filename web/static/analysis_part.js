// @ts-check
/** One kind of analysis in the frozen view: what is chosen of it, its progress, what it found. */

import { progressText, TITLES } from './analysis_texts.js';
import { make } from './element.js';
import { reportElements } from './report_view.js';

/** @typedef {import('./analysis.js').Analysis} Analysis */
/** @typedef {import('./protocol.js').AnalysisKind} AnalysisKind */
/** @typedef {import('./protocol.js').Caption} Caption */
/** @typedef {import('./protocol.js').Model} Model */
/**
 * @typedef {object} Options
 * @property {(caption: Caption, model: Model | null) => string} offer
 *   Returns what the model cannot do, if anything.
 * @property {object} params  As they are chosen now.
 */
/**
 * @typedef {object} Acts
 * @property {(kind: AnalysisKind, params: object) => void} begin
 * @property {(analysis: Analysis) => void} drop
 * @property {(sentence: string) => void} tell  For screen readers.
 */
/** @typedef {(report: unknown, picture: HTMLImageElement | null) => HTMLElement[]} Showing */

/** Screen readers are told how far it is this often at most. */
const TELL_MS = 15_000;
const REPORT_GONE = 'The server no longer has the report. What was told here stays.';

export class AnalysisPart {
  #kind;
  #parts;
  #options;
  #acts;
  #elementsOf;
  #message = make('p', 'message');
  #remark = make('p', '');
  #bar = make('progress', '');
  #cancel = make('button', 'button', 'Cancel');
  #work = make('div', 'work', this.#remark, this.#bar, this.#cancel);
  #again = make('button', 'quiet', 'Ask again');
  #found = make('div', 'found');
  /** @type {Analysis | null} */
  #analysis = null;
  /** Whether the picture is there to be asked about. */
  #canAsk = false;
  #toldAt = -Infinity;

  /**
   * @param {AnalysisKind} kind
   * @param {object} parts
   * @param {HTMLElement} parts.section
   * @param {HTMLFormElement} parts.form
   * @param {HTMLElement} parts.lack  Says what the captioner cannot do.
   * @param {Options} options
   * @param {Showing} elementsOf  What to show of a report's JSON.
   * @param {Acts} acts
   */
  constructor(kind, parts, options, elementsOf, acts) {
    this.#kind = kind;
    this.#parts = parts;
    this.#options = options;
    this.#elementsOf = elementsOf;
    this.#acts = acts;
    this.#cancel.type = this.#again.type = 'button';
    this.#bar.setAttribute('aria-label', TITLES[kind]);
    this.#found.tabIndex = -1;
    this.#found.setAttribute('role', 'group');
    this.#found.setAttribute('aria-label', `${TITLES[kind]} What was found`);
    parts.section.append(this.#message, this.#work, this.#again, this.#found);
    parts.form.addEventListener('submit', (event) => {
      event.preventDefault();
      acts.begin(kind, options.params);
    });
    this.#cancel.addEventListener('click', () => this.#analysis && acts.drop(this.#analysis));
    this.#again.addEventListener('click', () => {
      parts.form.hidden = false;
      this.#again.hidden = true;
      parts.form.querySelector('input')?.focus();
    });
  }

  /**
   * @param {Caption | null} caption  To ask about; none if its picture is gone.
   * @param {Model | null} model
   * @param {Analysis | null} analysis  That is there already.
   */
  open(caption, model, analysis) {
    const { section, lack } = this.#parts;
    this.#canAsk = caption !== null;
    section.hidden = !this.#canAsk && analysis === null;
    lack.textContent = caption ? this.#options.offer(caption, model) : '';
    this.#clear();
    if (analysis) this.show(analysis);
    else this.#setState('open');
  }

  /** @param {Analysis} analysis  New, or changed. */
  show(analysis) {
    const before = this.#parts.section.dataset.state;
    if (analysis !== this.#analysis) this.#clear();
    this.#analysis = analysis;
    if (analysis.state === 'running') this.#showProgress(analysis);
    if (analysis.state === 'done' && before !== 'done') this.#showFound(analysis);
    if (analysis.state === 'ended') this.say(analysis.message);
    this.#setState(analysis.state);
  }

  /** @param {Analysis | null} analysis */
  shows(analysis) {
    return analysis === this.#analysis;
  }

  /** @param {string} message  Why there is nothing. */
  say(message) {
    this.#message.textContent = message;
    this.#acts.tell(message);
  }

  /** What is shown of it is shown anew, for its picture has come. */
  refresh() {
    if (this.#analysis?.state === 'done') this.#showFound(this.#analysis);
  }

  close() {
    this.#clear();
    delete this.#parts.section.dataset.state;
  }

  #clear() {
    this.#analysis = null;
    this.#message.textContent = '';
    this.#found.replaceChildren();
    this.#toldAt = -Infinity;
  }

  /** @param {'open' | Analysis['state']} state  `open` before anything was asked. */
  #setState(state) {
    const { section, form } = this.#parts;
    const had = section.contains(document.activeElement) ? document.activeElement : null;
    if (state !== section.dataset.state) {
      form.hidden = !this.#canAsk || state === 'running' || state === 'done';
      this.#again.hidden = !this.#canAsk || state !== 'done';
      this.#work.hidden = state !== 'running';
      section.dataset.state = state;
    }
    if (state === 'running') this.#message.textContent = '';
    // Whoever is here by keyboard keeps their place when what they were on goes.
    if (had?.closest('[hidden]')) this.#focusFor(state);
  }

  /** @param {'open' | Analysis['state']} state */
  #focusFor(state) {
    if (state === 'running') this.#cancel.focus();
    else if (state === 'done') this.#found.focus({ preventScroll: true });
    else this.#parts.form.querySelector('button')?.focus();
  }

  /** @param {Analysis} analysis */
  #showProgress(analysis) {
    const text = progressText(analysis);
    this.#remark.textContent = text;
    if (analysis.path === null) this.#bar.removeAttribute('value');
    else this.#bar.value = analysis.advance.done;
    if (performance.now() - this.#toldAt < TELL_MS) return;
    this.#toldAt = performance.now();
    this.#acts.tell(`${TITLES[this.#kind]} ${text}`);
  }

  /** @param {Analysis} analysis */
  async #showFound(analysis) {
    const { summary, report, data } = analysis.found ?? { summary: [], report: '', data: '' };
    const sentences = make('ul', 'summary', ...summary.map((line) => make('li', '', line)));
    const isNew = this.#found.childElementCount === 0;
    this.#found.replaceChildren(sentences);
    if (isNew) this.#acts.tell(`${TITLES[this.#kind]} ${summary.join(' ')}`);
    const [figures, isKept] = await Promise.all([analysis.figures(), analysis.isKept()]);
    if (analysis !== this.#analysis || this.#found.firstElementChild !== sentences) return;
    this.#found.append(...this.#elementsOf(figures, analysis.picture));
    this.#found.append(
      ...(isKept ? reportElements(TITLES[this.#kind], report, data) : [make('p', 'about', REPORT_GONE)]),
    );
    this.#parts.section.dataset.shown = 'true';
  }
}
