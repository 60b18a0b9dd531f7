// @ts-check
/** The table of the stream's figures: frame rates, latency, captions sent. */

import { createElement } from '../common/dom.js';
import { fixedText, numberText } from '../common/format.js';
import { gettext } from '../common/i18n.js';

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
  showCaption({ kept, total_ms, wait_ms, replica }) {
    if (!kept && total_ms !== null) {
      this.#set(
        gettext('Caption latency'),
        gettext('{count} ms', { count: fixedText(total_ms, 0) }),
      );
    }
    if (replica && wait_ms !== null) {
      const waited = { replica, count: fixedText(wait_ms, 0) };
      this.#set(gettext('Captioned by'), gettext('{replica}, after waiting {count} ms', waited));
    }
  }

  /** @param {Stats} stats */
  showStats({ frames, captions }) {
    const rates = { input: fixedText(frames.fps_in, 1), output: fixedText(frames.fps_out, 1) };
    this.#set(gettext('Frame rate in, out'), gettext('{input}, {output} fps', rates));
    this.#set(gettext('Frames dropped'), numberText(frames.replaced));
    this.#set(gettext('Captions sent'), numberText(captions.sent));
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
