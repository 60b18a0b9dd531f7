// @ts-check
/** Letting others watch one's own session: under which name, at what address, how many do. */

import { make } from './element.js';
import { addressOf } from './route.js';

/** As the server takes it: what is in an address, in lower case. */
const NAME = /^[a-z0-9][a-z0-9_-]{0,39}$/;
const RULE = 'Use 1 to 40 small letters, digits, - and _, and begin with a letter or digit.';

export class Publishing {
  #parts;
  #onWanted;
  #isTaken;
  #name = '';

  /**
   * @param {object} parts
   * @param {HTMLElement} parts.section
   * @param {HTMLFormElement} parts.form
   * @param {HTMLInputElement} parts.name
   * @param {HTMLElement} parts.told      About the name; a live region.
   * @param {HTMLElement} parts.shared    What is shown while others may watch.
   * @param {HTMLElement} parts.address   Where they do.
   * @param {HTMLElement} parts.viewers   How many do.
   * @param {HTMLElement} parts.stop      A button.
   * @param {(name: string) => void} onWanted  Asked to share under a name, or no more if empty.
   * @param {(name: string) => boolean} isTaken
   */
  constructor(parts, onWanted, isTaken) {
    this.#parts = parts;
    this.#onWanted = onWanted;
    this.#isTaken = isTaken;
    parts.form.addEventListener('submit', (event) => {
      event.preventDefault();
      this.#ask();
    });
    parts.name.addEventListener('input', () => this.#tell(''));
    parts.stop.addEventListener('click', () => {
      onWanted('');
      parts.name.focus();
    });
  }

  /**
   * @param {string | null} name  Under which others may watch, empty for none; null where there
   *   is nothing to share.
   */
  show(name) {
    const { section, form, shared, address } = this.#parts;
    section.hidden = name === null;
    const hadFocus = form.contains(document.activeElement);
    this.#name = name ?? '';
    form.hidden = this.#name !== '';
    shared.hidden = this.#name === '';
    if (this.#name === '') return;
    const link = make('a', '', new URL(addressOf(this.#name), location.href).href);
    link.href = addressOf(this.#name);
    link.target = '_blank';
    address.replaceChildren(link);
    this.#tell('');
    if (hadFocus) this.#parts.stop.focus();
  }

  /** @param {number} count */
  set viewers(count) {
    const text = count === 1 ? '1 watches now.' : `${count || 'Nobody'} watch${count ? '' : 'es'} now.`;
    if (this.#parts.viewers.textContent !== text) this.#parts.viewers.textContent = text;
  }

  /** Says that the name cannot be had. @param {string} message  Why. */
  refuse(message) {
    this.#tell(message);
    this.#parts.name.focus();
  }

  #ask() {
    const name = this.#parts.name.value.trim().toLowerCase();
    if (!NAME.test(name)) this.refuse(RULE);
    else if (this.#isTaken(name)) this.refuse(`“${name}” is taken: choose another name.`);
    else this.#onWanted(name);
  }

  /** @param {string} text  What is wrong with the name; empty for nothing. */
  #tell(text) {
    const { name, told } = this.#parts;
    if (told.textContent !== text) told.textContent = text;
    name.setAttribute('aria-invalid', String(text !== ''));
  }
}
