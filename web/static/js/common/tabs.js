// @ts-check
/**
 * Tabs with their panels, see "Tabs Pattern", WAI-ARIA Authoring Practices: one tab stop, the arrow
 * keys select a tab.
 */

import { setTabStop } from './dom.js';

export class Tabs {
  #list;
  #tabs;

  /** @param {HTMLElement} list  Contains the tabs; `aria-controls` names the panel of each. */
  constructor(list) {
    this.#list = list;
    this.#tabs = [...list.querySelectorAll('button')];
    for (const tab of this.#tabs) tab.addEventListener('click', () => this.#select(tab));
    list.addEventListener('keydown', (event) => this.#selectByKey(event));
  }

  /**
   * Offers some of the panels, and selects one.
   *
   * @param {string[]} panels  Ids; with fewer than two, there is nothing to choose.
   * @param {string} selected  If it is not among them, the first one is selected.
   */
  show(panels, selected) {
    for (const tab of this.#tabs) {
      tab.hidden = !panels.includes(panelOf(tab));
      document.getElementById(panelOf(tab))?.toggleAttribute('hidden', true);
    }
    this.#list.hidden = panels.length < 2;
    const offered = this.#offered;
    const tab = offered.find((each) => panelOf(each) === selected) ?? offered[0];
    if (tab) this.#select(tab);
  }

  get #offered() {
    return this.#tabs.filter(({ hidden }) => !hidden);
  }

  /** @param {HTMLElement} selected */
  #select(selected) {
    for (const tab of this.#tabs) {
      const isSelected = tab === selected;
      tab.setAttribute('aria-selected', String(isSelected));
      document.getElementById(panelOf(tab))?.toggleAttribute('hidden', !isSelected);
    }
    setTabStop(
      this.#tabs,
      this.#tabs.findIndex((tab) => tab === selected),
    );
  }

  /** @param {KeyboardEvent} event */
  #selectByKey(event) {
    const offered = this.#offered;
    const index = offered.findIndex((tab) => tab === event.target);
    const next = { ArrowLeft: index - 1, ArrowRight: index + 1, Home: 0, End: -1 }[event.key];
    const tab = next === undefined ? undefined : offered.at(next % offered.length);
    if (index < 0 || !tab) return;
    event.preventDefault();
    this.#select(tab);
    tab.focus();
  }
}

/** @param {HTMLElement} tab @returns {string}  The id of its panel. */
function panelOf(tab) {
  return tab.getAttribute('aria-controls') ?? '';
}
