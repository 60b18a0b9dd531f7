// @ts-check
/** The button and the confirmation dialog that delete captions from the history. */

import { getElement } from '../common/dom.js';
import { deleteJson } from '../common/http.js';
import { countOrNull } from '../common/json.js';
import { deletionUrl } from './history_api.js';

/** @typedef {import('./history_api.js').Query} Query */

const TIME = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium', timeStyle: 'short' });

export class DeleteDialog {
  #button = getElement('delete', HTMLButtonElement);
  #dialog = getElement('deletion', HTMLDialogElement);
  #question = getElement('deletion-question');
  /** @type {Query} */
  #query = { words: '', feed: '', from: '', to: '' };
  #title = '';
  /** Whether the user is an admin. */
  isAllowed = false;

  /**
   * @param {(count: number) => void} onDeleted  Called with the number of deleted results.
   * @param {(error: unknown) => void} onError
   */
  constructor(onDeleted, onError) {
    this.#button.addEventListener('click', () => this.#open());
    getElement('deletion-yes').addEventListener('click', () => this.#dialog.close('delete'));
    getElement('deletion-no').addEventListener('click', () => this.#dialog.close('keep'));
    this.#dialog.addEventListener('close', async () => {
      if (this.#dialog.returnValue !== 'delete') return;
      try {
        const { deleted } = await deleteJson(deletionUrl(this.#query));
        onDeleted(countOrNull(deleted) ?? 0);
      } catch (error) {
        onError(error);
      }
    });
  }

  /**
   * Shows the button if the results of a query can be deleted: those of a word search cannot.
   *
   * @param {Query} query
   * @param {string} title  Of the feed; empty for all feeds.
   * @param {boolean} hasResults
   */
  update(query, title, hasResults) {
    this.#query = query;
    this.#title = title;
    this.#button.hidden = !this.isAllowed || !hasResults || query.words.trim() !== '';
  }

  #open() {
    const { from, to } = this.#query;
    const times = [
      from === '' ? '' : ` from ${TIME.format(new Date(from))}`,
      to === '' ? '' : ` until ${TIME.format(new Date(to))}`,
    ].join('');
    const feeds = this.#title === '' ? 'all feeds' : this.#title;
    this.#question.textContent =
      `This permanently deletes the captions of ${feeds}${times}. ` +
      'Export first if you need a copy.';
    this.#dialog.returnValue = 'keep';
    this.#dialog.showModal();
  }
}
