// @ts-check
/**
 * The choice of an explanation method, the recommended one apart, and of what to compare its map
 * with: another method's, or another frame's.
 */

import { createElement, englishText } from '../common/dom.js';
import { gettext, pgettext } from '../common/i18n.js';

/** @typedef {import('../session/explanation_messages.js').TargetKind} TargetKind */
/** @typedef {import('../session/model.js').Method} Method */

/** Attention is offered apart: it shows where the decoder looked, which explains nothing. */
const ATTENTION = 'attention';
const FRAME = 'frame:';

export class MethodPicker {
  #elements;
  #onChange;
  /** @type {Method[]} */
  #methods = [];
  #selectedName = '';
  #methodGroup = document.createElement('optgroup');
  #frameGroup = document.createElement('optgroup');

  /**
   * @param {object} elements
   * @param {HTMLElement} elements.recommended  For the radio button of the first method.
   * @param {HTMLDetailsElement} elements.more  Contains the other methods.
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
    this.#methodGroup.label = gettext('Another method');
    this.#frameGroup.label = gettext('Another frame');
    elements.beside.replaceChildren(
      new Option(pgettext('to compare with', 'None'), ''),
      this.#methodGroup,
      this.#frameGroup,
    );
    elements.beside.addEventListener('change', onChange);
  }

  /** @param {Method[]} methods  The first is recommended, and selected. */
  setMethods(methods) {
    const { recommended, more, explaining, reading, readingSet, beside } = this.#elements;
    const [first, ...others] = methods;
    const explains = others.filter(({ name }) => name !== ATTENTION);
    const reads = others.filter(({ name }) => name === ATTENTION);
    this.#methods = methods;
    recommended.replaceChildren(...(first ? [this.#createRadio(first)] : []));
    explaining.replaceChildren(...explains.map((method) => this.#createRadio(method)));
    reading.replaceChildren(...reads.map((method) => this.#createRadio(method)));
    readingSet.hidden = reads.length === 0;
    more.hidden = others.length === 0;
    more.open = false;
    this.#methodGroup.replaceChildren(...methods.map(({ name, title }) => new Option(title, name)));
    this.#frameGroup.replaceChildren();
    beside.value = '';
    this.#updateBeside();
    this.#select(first?.name ?? '');
  }

  /** @param {{seq: number, title: string}[]} frames  To compare with. */
  setFrames(frames) {
    const { beside } = this.#elements;
    const { value } = beside;
    this.#frameGroup.replaceChildren(
      ...frames.map(({ seq, title }) => new Option(title, `${FRAME}${seq}`)),
    );
    beside.value = value;
    this.#updateBeside();
  }

  /** Disables the methods that cannot explain such a target. @param {TargetKind} kind */
  restrict(kind) {
    const able = this.#methods.filter(({ kinds }) => kinds.includes(kind));
    const isAble = (/** @type {string} */ name) => able.some((method) => method.name === name);
    const { beside } = this.#elements;
    for (const radio of this.#radios) radio.disabled = !isAble(radio.value);
    for (const option of this.#methodGroup.querySelectorAll('option')) {
      option.disabled = !isAble(option.value);
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

  /** The caption whose frame to compare with; null for none. */
  get comparedFrame() {
    const { value } = this.#elements.beside;
    return value.startsWith(FRAME) ? Number(value.slice(FRAME.length)) : null;
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
    const { about, more, recommended } = this.#elements;
    this.#selectedName = name;
    for (const radio of this.#radios) radio.checked = radio.value === name;
    const { selected } = this;
    const cost = gettext('Cost: {cost}', { cost: selected?.cost ?? '' });
    const facts = selected ? [englishText(selected.paper), cost] : [];
    about.replaceChildren(...facts.map((fact) => createElement('p', '', fact)));
    if (recommended.querySelector(':checked') === null) more.open = true;
    for (const option of this.#methodGroup.querySelectorAll('option')) {
      option.hidden = option.value === name;
    }
  }

  #updateBeside() {
    const frames = this.#frameGroup.childElementCount;
    this.#frameGroup.hidden = frames === 0;
    this.#elements.besideField.hidden = this.#methods.length < 2 && frames === 0;
  }

  get #radios() {
    const { recommended, explaining, reading } = this.#elements;
    const groups = [recommended, explaining, reading];
    return groups.flatMap((group) => [...group.querySelectorAll('input')]);
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
