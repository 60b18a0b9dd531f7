// @ts-check
/** The button and the confirmation dialog that delete captions from the history. */

import { getElement, setText } from '../common/dom.js';
import { deleteJson, getJson } from '../common/http.js';
import { gettext, LOCALE, ngettext } from '../common/i18n.js';
import { countOrNull } from '../common/json.js';
import { apiUrl, deletionUrl, isForAll, readTimeline } from './history_api.js';

/** @typedef {import('./history_api.js').Query} Query */

const TIME = new Intl.DateTimeFormat(LOCALE, { dateStyle: 'medium', timeStyle: 'short' });
/** What to type to delete everything. */
const CONFIRMATION = 'delete all';

export class DeleteDialog {
  #button = getElement('delete', HTMLButtonElement);
  #dialog = getElement('deletion', HTMLDialogElement);
  #confirmation = getElement('deletion-typed', HTMLInputElement);
  #confirm = getElement('deletion-yes', HTMLButtonElement);
  #onError;
  /** @type {Query} */
  #query = { words: '', feed: '', from: '', to: '', match: '' };
  #title = '';
  /** Whether the user is an admin. */
  isAllowed = false;

  /**
   * @param {(count: number) => void} onDeleted  Called with the number of deleted results.
   * @param {(error: unknown) => void} onError
   */
  constructor(onDeleted, onError) {
    this.#onError = onError;
    this.#button.addEventListener('click', () => this.#open());
    getElement('deletion-no').addEventListener('click', () => this.#dialog.close('keep'));
    this.#confirmation.addEventListener('input', () => this.#updateConfirm());
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

  async #open() {
    const query = this.#query;
    try {
      const { buckets, ahead } = readTimeline(
        await getJson(apiUrl('timeline', query, { buckets: 1 })),
      );
      const count = buckets.reduce((sum, { results }) => sum + results, ahead);
      setText(getElement('deletion-question'), scopeText(query, this.#title, count));
      setText(this.#confirm, ngettext('Delete {count} result', 'Delete {count} results', count));
    } catch (error) {
      this.#onError(error);
      return;
    }
    getElement('deletion-confirmation').hidden = !isForAll(query);
    this.#confirmation.value = '';
    this.#updateConfirm();
    this.#dialog.returnValue = 'keep';
    this.#dialog.showModal();
  }

  #updateConfirm() {
    const isTyped = this.#confirmation.value.trim().toLowerCase() === CONFIRMATION;
    this.#confirm.disabled = isForAll(this.#query) && !isTyped;
  }
}

/**
 * @param {Query} query
 * @param {string} title  Of the feed.
 * @param {number} count  Of the results.
 */
function scopeText(query, title, count) {
  const exportFirst = gettext('Export first if you need a copy.');
  return `${deletionText(query, title, count)} ${exportFirst}`;
}

/**
 * @param {Query} query
 * @param {string} title  Of the feed.
 * @param {number} count  Of the results.
 */
function deletionText(query, title, count) {
  if (isForAll(query)) {
    return ngettext(
      'This permanently deletes the whole history: {count} result of all feeds.',
      'This permanently deletes the whole history: {count} results of all feeds.',
      count,
    );
  }
  const feed = query.feed === '' ? gettext('all feeds') : title;
  const from = query.from === '' ? '' : TIME.format(new Date(query.from));
  const to = query.to === '' ? '' : TIME.format(new Date(query.to));
  const values = { feed, from, to };
  if (from !== '' && to !== '') {
    return ngettext(
      'This permanently deletes {count} result of {feed} from {from} until {to}.',
      'This permanently deletes {count} results of {feed} from {from} until {to}.',
      count,
      values,
    );
  }
  if (from !== '') {
    return ngettext(
      'This permanently deletes {count} result of {feed} from {from}.',
      'This permanently deletes {count} results of {feed} from {from}.',
      count,
      values,
    );
  }
  if (to !== '') {
    return ngettext(
      'This permanently deletes {count} result of {feed} until {to}.',
      'This permanently deletes {count} results of {feed} until {to}.',
      count,
      values,
    );
  }
  return ngettext(
    'This permanently deletes {count} result of {feed}.',
    'This permanently deletes {count} results of {feed}.',
    count,
    values,
  );
}
