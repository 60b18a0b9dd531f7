// @ts-check
/** On the page itself: the analyses that are under way or done, each to be seen or dismissed. */

import { shareText, TITLES } from './analysis_texts.js';
import { make } from './element.js';

/** @typedef {import('./analyses.js').Analyses} Analyses */
/** @typedef {import('./analysis.js').About} About */
/** @typedef {import('./analysis.js').Analysis} Analysis */
/** @typedef {{item: HTMLElement, state: HTMLElement, drop: HTMLElement}} Row */

export class AnalysisNotice {
  #parts;
  #analyses;
  #open;
  /** @type {Map<Analysis, Row>} */
  #rows = new Map();

  /**
   * @param {object} parts
   * @param {HTMLElement} parts.section
   * @param {HTMLElement} parts.list
   * @param {HTMLElement} parts.news  A live region.
   * @param {Analyses} analyses
   * @param {(about: About) => void} open
   */
  constructor(parts, analyses, open) {
    this.#parts = parts;
    this.#analyses = analyses;
    this.#open = open;
  }

  /**
   * @param {Analysis} analysis  One that has changed.
   * @param {boolean} isShown    Whether it is told of elsewhere.
   */
  hear(analysis, isShown) {
    const { all } = this.#analyses;
    for (const [known, { item }] of this.#rows) {
      if (all.includes(known)) continue;
      item.remove();
      this.#rows.delete(known);
    }
    if (all.includes(analysis)) this.#show(analysis, isShown);
    this.#parts.section.hidden = this.#rows.size === 0;
  }

  /** @param {Analysis} analysis @param {boolean} isShown */
  #show(analysis, isShown) {
    const { item, state, drop } = this.#rowOf(analysis);
    if (item.dataset.state !== analysis.state && analysis.state !== 'running' && !isShown) {
      this.#parts.news.textContent = `${nameOf(analysis)}: ${endText(analysis)}`;
    }
    item.dataset.state = analysis.state;
    state.textContent = analysis.state === 'running' ? shareText(analysis) : endText(analysis);
    drop.textContent = analysis.state === 'running' ? 'Cancel' : 'Dismiss';
  }

  /** @param {Analysis} analysis @returns {Row} */
  #rowOf(analysis) {
    const known = this.#rows.get(analysis);
    if (known) return known;
    const state = make('span', 'kept-state');
    const show = make('button', 'button', 'Show');
    const drop = make('button', 'quiet');
    show.type = drop.type = 'button';
    show.addEventListener('click', () => this.#open(analysis.about));
    drop.addEventListener('click', () => this.#analyses.drop(analysis));
    const name = make('span', 'kept-name', nameOf(analysis));
    const item = make('li', '', name, ' ', state, make('span', 'actions', show, drop));
    for (const button of [show, drop]) button.setAttribute('aria-description', nameOf(analysis));
    const row = { item, state, drop };
    const { all } = this.#analyses;
    const next = all.slice(all.indexOf(analysis)).flatMap((each) => this.#rows.get(each) ?? [])[0];
    this.#parts.list.insertBefore(item, next?.item ?? null);
    this.#rows.set(analysis, row);
    return row;
  }
}

/** @param {Analysis} analysis */
function nameOf({ kind, about }) {
  return `${TITLES[kind]} “${about.caption}”`;
}

/** @param {Analysis} analysis  One that is over. */
function endText({ state, message }) {
  return state === 'done' ? 'The answer is there.' : message;
}
