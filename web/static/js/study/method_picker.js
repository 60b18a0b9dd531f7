// @ts-check
/** The choice of a method, and of another to see beside it. */

/** @typedef {import('./protocol.js').Kind} Kind */
/** @typedef {import('./protocol.js').Method} Method */

/** Where a decoder reads is shown, and told apart from why it says what it says. */
const READS_ONLY = 'attention';

export class MethodPicker {
  #parts;
  #onChosen;
  /** @type {Method[]} */
  #methods = [];
  #name = '';

  /**
   * @param {object} parts
   * @param {HTMLElement} parts.explaining  Holds the methods that explain.
   * @param {HTMLElement} parts.reading     Holds the one that does not.
   * @param {HTMLElement} parts.readingSet  Around it.
   * @param {HTMLElement} parts.about       About the one that is chosen.
   * @param {HTMLSelectElement} parts.beside
   * @param {() => void} onChosen
   */
  constructor(parts, onChosen) {
    this.#parts = parts;
    this.#onChosen = onChosen;
    parts.beside.addEventListener('change', onChosen);
  }

  /** @param {Method[]} methods  The first is chosen. */
  offer(methods) {
    const { explaining, reading, readingSet, beside } = this.#parts;
    this.#methods = methods;
    const explains = methods.filter(({ name }) => name !== READS_ONLY);
    const reads = methods.filter(({ name }) => name === READS_ONLY);
    explaining.replaceChildren(...explains.map((method) => this.#newChoice(method)));
    reading.replaceChildren(...reads.map((method) => this.#newChoice(method)));
    readingSet.hidden = reads.length === 0;
    beside.replaceChildren(
      new Option('nothing', ''),
      ...methods.map(({ name, title }) => new Option(title, name)),
    );
    this.#setChosen(methods[0]?.name ?? '');
  }

  /** Lets only those be chosen that can explain such a target. @param {Kind} kind */
  restrict(kind) {
    const able = this.#methods.filter(({ kinds }) => kinds.includes(kind));
    const isAble = (/** @type {string} */ name) => able.some((method) => method.name === name);
    for (const radio of this.#radios) radio.disabled = !isAble(radio.value);
    for (const option of this.#parts.beside.options) {
      option.disabled = option.value !== '' && !isAble(option.value);
    }
    if (this.#parts.beside.selectedOptions[0]?.disabled) this.#parts.beside.value = '';
    if (!isAble(this.#name) && able.length > 0) this.#setChosen(able[0].name);
  }

  get chosen() {
    return this.#methods.find(({ name }) => name === this.#name);
  }

  /** What is to be seen beside it, if anything. */
  get beside() {
    const { value } = this.#parts.beside;
    return value === this.#name ? undefined : this.#methods.find(({ name }) => name === value);
  }

  /** @param {string} name */
  #setChosen(name) {
    this.#name = name;
    for (const radio of this.#radios) radio.checked = radio.value === name;
    const { chosen } = this;
    const facts = chosen ? [chosen.paper, `Cost: ${chosen.cost}`] : [];
    this.#parts.about.replaceChildren(
      ...facts.map((fact) => {
        const line = document.createElement('p');
        line.textContent = fact;
        return line;
      }),
    );
    for (const option of this.#parts.beside.options) option.hidden = option.value === name;
  }

  get #radios() {
    const { explaining, reading } = this.#parts;
    return [explaining, reading].flatMap((part) => [...part.querySelectorAll('input')]);
  }

  /** @param {Method} method */
  #newChoice({ name, title }) {
    const [label, radio] = [document.createElement('label'), document.createElement('input')];
    radio.type = 'radio';
    radio.name = 'method';
    radio.value = name;
    radio.addEventListener('change', () => {
      this.#setChosen(name);
      this.#onChosen();
    });
    label.className = 'method';
    label.append(radio, title);
    return label;
  }
}
