// @ts-check
/**
 * Keyboard shortcuts of single characters, with their list. The user can turn them off (WCAG 2.2,
 * 2.1.4), and they do nothing while something is typed or a dialog is open.
 */

import { preference, setPreference } from './preferences.js';

const PREFERENCE = 'shortcuts';
/** Fields in which characters mean something else. */
const TYPING = 'textarea, select, [contenteditable], input:not([type="checkbox"], [type="radio"])';

export class Shortcuts {
  #actions;
  #dialog;
  #enabled;

  /**
   * @param {object} elements
   * @param {HTMLDialogElement} elements.dialog    The list of shortcuts.
   * @param {HTMLElement} elements.open            Opens the list.
   * @param {HTMLElement} elements.close
   * @param {HTMLInputElement} elements.enabled    The checkbox that turns shortcuts on.
   * @param {Map<string, () => void>} actions      By the character that is typed.
   */
  constructor({ dialog, open, close, enabled }, actions) {
    this.#dialog = dialog;
    this.#enabled = enabled;
    this.#actions = new Map([...actions, ['?', () => dialog.showModal()]]);
    enabled.checked = preference(PREFERENCE) !== false;
    enabled.addEventListener('change', () => setPreference(PREFERENCE, enabled.checked));
    open.addEventListener('click', () => this.#dialog.showModal());
    close.addEventListener('click', () => this.#dialog.close());
    document.addEventListener('keydown', (event) => this.#handle(event));
  }

  /** @param {KeyboardEvent} event */
  #handle(event) {
    const { key, target, ctrlKey, altKey, metaKey, repeat, defaultPrevented } = event;
    const isForOthers = defaultPrevented || ctrlKey || altKey || metaKey || repeat;
    if (!this.#enabled.checked || isForOthers || document.querySelector('dialog[open]')) return;
    if (target instanceof Element && target.closest(TYPING)) return;
    const action = this.#actions.get(key.toLowerCase());
    if (!action) return;
    event.preventDefault();
    action();
  }
}
