// @ts-check
/** The figures under "More": which model, how fast, how much of it reached this page. */

/** @typedef {import('./protocol.js').Caption} Caption */
/** @typedef {import('./protocol.js').Hello} Hello */
/** @typedef {import('./protocol.js').Stats} Stats */

export class FiguresView {
  #list;
  /** @type {Map<string, HTMLElement>} */
  #values = new Map();

  /** @param {HTMLElement} list  A description list. */
  constructor(list) {
    this.#list = list;
  }

  /** @param {Hello} hello */
  showModel({ model }) {
    this.#set('Model', model.name);
    this.#set('Encoder', model.encoder);
    this.#set('CIDEr, dev split', model.cider === null ? '' : model.cider.toFixed(2));
    this.#set('Licence', model.licence);
  }

  /** @param {Caption} caption */
  showCaption({ kept, total_ms }) {
    if (!kept && total_ms !== null) this.#set('Time to caption', `${Math.round(total_ms)} ms`);
  }

  /** @param {Stats} stats */
  showStats({ frames, captions }) {
    this.#set('Frames in, out', `${rate(frames.fps_in)}, ${rate(frames.fps_out)} a second`);
    this.#set('Frames replaced', String(frames.replaced));
    this.#set('Captions sent', String(captions.sent));
  }

  /**
   * @param {string} term
   * @param {string} value  Nothing is shown for an empty one.
   */
  #set(term, value) {
    if (value === '') return;
    this.#valueOf(term).textContent = value;
  }

  /** @param {string} term */
  #valueOf(term) {
    const known = this.#values.get(term);
    if (known) return known;
    const [pair, name, value] = ['div', 'dt', 'dd'].map((tag) => document.createElement(tag));
    name.textContent = term;
    pair.append(name, value);
    this.#list.append(pair);
    this.#values.set(term, value);
    return value;
  }
}

/** @param {number} framesPerSecond */
function rate(framesPerSecond) {
  return framesPerSecond.toFixed(1);
}
