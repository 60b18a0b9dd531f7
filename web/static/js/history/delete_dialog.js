// @ts-check
/** Deleting what is kept: of a feed, of a time, or all of it; asked once more before it is done. */

import { element } from './element.js';
import { deleteJson } from './json_request.js';
import { countOrNull } from './json.js';
import { deletionAddress } from './past_query.js';

/** @typedef {import('./past_query.js').Sought} Sought */

const TIME = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium', timeStyle: 'short' });

export class PastDeletion {
  #button = element('delete', HTMLButtonElement);
  #dialog = element('deletion', HTMLDialogElement);
  #question = element('deletion-question');
  #mayDelete = false;
  /** @type {Sought} */
  #wanted = { words: '', feed: '', from: '', to: '' };
  #title = '';

  /**
   * @param {(count: number) => void} onDeleted  Told how many passages are gone.
   * @param {(problem: unknown) => void} onProblem
   */
  constructor(onDeleted, onProblem) {
    this.#button.addEventListener('click', () => this.#ask());
    for (const [id, answer] of [['deletion-yes', 'delete'], ['deletion-no', 'keep']]) {
      element(id).addEventListener('click', () => this.#dialog.close(answer));
    }
    this.#dialog.addEventListener('close', async () => {
      if (this.#dialog.returnValue !== 'delete') return;
      try {
        const { deleted } = await deleteJson(deletionAddress(this.#wanted));
        onDeleted(countOrNull(deleted) ?? 0);
      } catch (problem) {
        onProblem(problem);
      }
    });
  }

  /** @param {boolean} mayDelete  Whether who looks is an admin. */
  allow(mayDelete) {
    this.#mayDelete = mayDelete;
  }

  /**
   * @param {Sought} wanted  What is shown: what was found by words cannot be deleted by them.
   * @param {string} title  Of the feed; empty for all feeds.
   * @param {boolean} isAny  Whether there is anything.
   */
  offer(wanted, title, isAny) {
    this.#wanted = wanted;
    this.#title = title;
    this.#button.hidden = !this.#mayDelete || !isAny || wanted.words.trim() !== '';
  }

  #ask() {
    const { from, to } = this.#wanted;
    const times = [
      from === '' ? '' : ` from ${TIME.format(new Date(from))}`,
      to === '' ? '' : ` until ${TIME.format(new Date(to))}`,
    ].join('');
    const whose = this.#title === '' ? 'all feeds' : this.#title;
    this.#question.textContent =
      `Everything that was said of ${whose}${times} is deleted for good. ` +
      'Who wants to keep it can take it along first.';
    this.#dialog.returnValue = 'keep';
    this.#dialog.showModal();
  }
}
