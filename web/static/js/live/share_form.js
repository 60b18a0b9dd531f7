// @ts-check
/** The form that publishes the session under a name, with its viewers. */

import { getElement, setNodes, setText } from '../common/dom.js';
import { gettext } from '../common/i18n.js';
import { viewersText } from '../feeds/feed.js';

/** The names that the server accepts. */
const NAME = /^[a-z0-9][a-z0-9_-]{0,39}$/;
const NAME_RULE = gettext(
  'Use 1 to 40 lowercase letters, digits, - or _. Start with a letter or digit.',
);

export function shareFormElements() {
  return {
    section: getElement('publishing'),
    form: getElement('publish', HTMLFormElement),
    name: getElement('publish-name', HTMLInputElement),
    error: getElement('publish-told'),
    published: getElement('published'),
    publishedName: getElement('published-name'),
    viewers: getElement('published-viewers'),
    stop: getElement('unpublish'),
    historyNotes: /** @type {NodeListOf<HTMLElement>} */ (
      getElement('publishing').querySelectorAll('[data-history]')
    ),
  };
}

export class ShareForm {
  #elements;
  #onSubmit;
  #isTaken;
  #name = '';

  /**
   * @param {ReturnType<typeof shareFormElements>} elements
   * @param {(name: string) => void} onSubmit  Called with the name; empty to stop sharing.
   * @param {(name: string) => boolean} isTaken
   */
  constructor(elements, onSubmit, isTaken) {
    this.#elements = elements;
    this.#onSubmit = onSubmit;
    this.#isTaken = isTaken;
    elements.form.addEventListener('submit', (event) => {
      event.preventDefault();
      this.#submit();
    });
    elements.name.addEventListener('input', () => this.#setError(''));
    elements.stop.addEventListener('click', () => {
      onSubmit('');
      elements.name.focus();
    });
  }

  /**
   * @param {string | null} name  The name that the session is published under, empty if it is not;
   *   null if there is no session to publish.
   */
  show(name) {
    const { section, form, published, publishedName, stop } = this.#elements;
    section.hidden = name === null;
    const hadFocus = form.contains(document.activeElement);
    this.#name = name ?? '';
    form.hidden = this.#name !== '';
    published.hidden = this.#name === '';
    if (this.#name === '') return;
    setText(publishedName, gettext('Shared as “{name}”', { name: this.#name }));
    this.#setError('');
    if (hadFocus) stop.focus();
  }

  /** @param {boolean} isStored  Whether the server stores the captions of shared sessions. */
  set isStored(isStored) {
    for (const note of this.#elements.historyNotes) note.hidden = !isStored;
  }

  /** @param {number} count */
  set viewers(count) {
    setText(this.#elements.viewers, viewersText(count) || gettext('No viewers'));
  }

  /** Shows why the name cannot be used. @param {Node | string} message */
  showError(message) {
    this.#setError(message);
    this.#elements.name.focus();
  }

  #submit() {
    const name = this.#elements.name.value.trim().toLowerCase();
    if (!NAME.test(name)) this.showError(NAME_RULE);
    else if (this.#isTaken(name))
      this.showError(gettext('“{name}” is taken. Choose another name.', { name }));
    else this.#onSubmit(name);
  }

  /** @param {Node | string} text  Empty for no error. */
  #setError(text) {
    const { name, error } = this.#elements;
    setNodes(error, [text]);
    name.setAttribute('aria-invalid', String(text !== ''));
  }
}
