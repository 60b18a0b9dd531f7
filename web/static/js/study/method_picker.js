// @ts-check
/** The choice of an explanation method, and of a second one to compare it with. */

import { createElement } from '../common/dom.js';

/** @typedef {import('../session/explanation_messages.js').TargetKind} TargetKind */
/** @typedef {import('../session/model.js').Method} Method */

/** Attention is offered apart: it shows where the decoder looked, which explains nothing. */
const ATTENTION = 'attention';

export class MethodPicker {
  #elements;
  #onChange;
  /** @type {Method[]} */
  #methods = [];
  #selectedName = '';

  /**
   * @param {object} elements
   * @param {HTMLElement} elements.explaining  For the radio buttons of methods that explain.
   * @param {HTMLElement} elements.reading     For the one of attention.
   * @param {HTMLElement} elements.readingSet
   * @param {HTMLElement} elements.about       For facts about the selected method.
   * @param {HTMLSelectElement} elements.beside
   * @param {HTMLElement} elements.besideField
   * @param {() => void} onChange
   */
  constructor(elements, onChange) {
    this.#elements = elements;
    this.#onChange = onChange;
    elements.beside.addEventListener('change', onChange);
  }

  /** @param {Method[]} methods  The first is selected. */
  setMethods(methods) {
    const { explaining, reading, readingSet, beside, besideField } = this.#elements;
    this.#methods = methods;
    const explains = methods.filter(({ name }) => name !== ATTENTION);
    const reads = methods.filter(({ name }) => name === ATTENTION);
    explaining.replaceChildren(...explains.map((method) => this.#createRadio(method)));
    reading.replaceChildren(...reads.map((method) => this.#createRadio(method)));
    readingSet.hidden = reads.length === 0;
    besideField.hidden = methods.length < 2;
    beside.replaceChildren(
      new Option('None', ''),
      ...methods.map(({ name, title }) => new Option(title, name)),
    );
    this.#select(methods[0]?.name ?? '');
  }

  /** Disables the methods that cannot explain such a target. @param {TargetKind} kind */
  restrict(kind) {
    const able = this.#methods.filter(({ kinds }) => kinds.includes(kind));
    const isAble = (/** @type {string} */ name) => able.some((method) => method.name === name);
    const { beside } = this.#elements;
    for (const radio of this.#radios) radio.disabled = !isAble(radio.value);
    for (const option of beside.options) {
      option.disabled = option.value !== '' && !isAble(option.value);
    }
    if (beside.selectedOptions[0]?.disabled) beside.value = '';
    if (!isAble(this.#selectedName) && able[0]) this.#select(able[0].name);
  }

  /** @param {TargetKind} kind @returns {boolean}  Whether a method explains such targets. */
  offers(kind) {
    return this.#methods.some(({ kinds }) => kinds.includes(kind));
  }

  get selected() {
    return this.#methods.find(({ name }) => name === this.#selectedName);
  }

  /** The method to compare with; undefined for none. */
  get compared() {
    const { value } = this.#elements.beside;
    if (value === this.#selectedName) return undefined;
    return this.#methods.find(({ name }) => name === value);
  }

  /** @param {string} name  @returns {boolean}  Whether the method is offered and not yet shown. */
  canCompare(name) {
    const option = [...this.#elements.beside.options].find(({ value }) => value === name);
    return (
      option !== undefined &&
      !option.disabled &&
      ![this.selected, this.compared].some((method) => method?.name === name)
    );
  }

  /** Compares with a method. @param {string} name */
  compare(name) {
    this.#elements.beside.value = name;
  }

  /** @param {string} name */
  #select(name) {
    this.#selectedName = name;
    for (const radio of this.#radios) radio.checked = radio.value === name;
    const { selected } = this;
    const facts = selected ? [selected.paper, `Cost: ${selected.cost}`] : [];
    const { about, beside } = this.#elements;
    about.replaceChildren(...facts.map((fact) => createElement('p', '', fact)));
    for (const option of beside.options) option.hidden = option.value === name;
  }

  get #radios() {
    const { explaining, reading } = this.#elements;
    return [explaining, reading].flatMap((group) => [...group.querySelectorAll('input')]);
  }

  /** @param {Method} method */
  #createRadio({ name, title }) {
    const radio = createElement('input', '');
    radio.type = 'radio';
    radio.name = 'method';
    radio.value = name;
    radio.addEventListener('change', () => {
      this.#select(name);
      this.#onChange();
    });
    return createElement('label', 'method', radio, title);
  }
}
