// @ts-check
/** The buttons that copy or save the captions of the session. */

import { createElement } from '../common/dom.js';
import { gettext } from '../common/i18n.js';

/** @typedef {import('./transcript.js').Transcript} Transcript */

const COPIED = gettext('Copied.');
const NOT_COPIED = gettext('The browser blocked copying. Save the captions as text instead.');

export class TranscriptExport {
  #transcript;
  #status;

  /**
   * @param {object} elements
   * @param {HTMLElement} elements.copy
   * @param {HTMLElement} elements.saveText
   * @param {HTMLElement} elements.saveWebVtt
   * @param {HTMLElement} elements.status  A live region.
   * @param {Transcript} transcript
   */
  constructor({ copy, saveText, saveWebVtt, status }, transcript) {
    this.#transcript = transcript;
    this.#status = status;
    copy.addEventListener('click', () => this.#copy());
    saveText.addEventListener('click', () =>
      save(transcript.toText(), 'captions.txt', 'text/plain'),
    );
    saveWebVtt.addEventListener('click', () =>
      save(transcript.toWebVtt(), 'captions.vtt', 'text/vtt'),
    );
  }

  async #copy() {
    this.#status.textContent = '';
    try {
      await navigator.clipboard.writeText(this.#transcript.toText());
      this.#status.textContent = COPIED;
    } catch {
      // Not allowed, or the page is not served over HTTPS.
      this.#status.textContent = NOT_COPIED;
    }
  }
}

/**
 * @param {string} text
 * @param {string} name
 * @param {string} type
 */
function save(text, name, type) {
  const link = createElement('a', '');
  link.href = URL.createObjectURL(new Blob([text], { type: `${type};charset=utf-8` }));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}
