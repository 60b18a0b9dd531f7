// @ts-check
/** The table of the stream's figures: frame rates, latency, captions sent. */

import { createElement } from '../common/dom.js';

/** @typedef {import('../captions/caption.js').Caption} Caption */
/** @typedef {import('../session/messages.js').Stats} Stats */

export class StatsTable {
  #list;
  /** @type {Map<string, HTMLElement>} */
  #values = new Map();

  /** @param {HTMLElement} list  A `<dl>`. */
  constructor(list) {
    this.#list = list;
  }

  /** @param {Caption} caption */
  showCaption({ kept, total_ms }) {
    if (!kept && total_ms !== null) this.#set('Caption latency', `${Math.round(total_ms)} ms`);
  }

  /** @param {Stats} stats */
  showStats({ frames, captions }) {
    const [fpsIn, fpsOut] = [frames.fps_in.toFixed(1), frames.fps_out.toFixed(1)];
    this.#set('Frame rate in, out', `${fpsIn}, ${fpsOut} fps`);
    this.#set('Frames dropped', String(frames.replaced));
    this.#set('Captions sent', String(captions.sent));
  }

  /**
   * @param {string} term
   * @param {string} value  An empty one is not shown.
   */
  #set(term, value) {
    if (value !== '') this.#valueOf(term).textContent = value;
  }

  /** @param {string} term */
  #valueOf(term) {
    const known = this.#values.get(term);
    if (known) return known;
    const value = createElement('dd', '');
    this.#list.append(createElement('div', '', createElement('dt', '', term), value));
    this.#values.set(term, value);
    return value;
  }
}
