// @ts-check
/** Buttons that copy the commands of a page; browsers allow that over HTTPS and on this machine. */

import { createButton, createElement } from './dom.js';

const COPIED_MS = 2_000;

/** @param {HTMLElement} command */
function addButton(command) {
  const text = command.textContent.trim();
  const button = createButton('Copy', 'link-button');
  const status = createElement('span', 'visually-hidden');
  status.setAttribute('role', 'status');
  button.addEventListener('click', async () => {
    await navigator.clipboard.writeText(text);
    button.textContent = status.textContent = 'Copied';
    setTimeout(() => {
      button.textContent = 'Copy';
      status.textContent = '';
    }, COPIED_MS);
  });
  command.after(createElement('p', 'copy', button, status));
}

if ('clipboard' in navigator) {
  for (const command of document.querySelectorAll('[data-copy]')) {
    if (command instanceof HTMLElement) addButton(command);
  }
}
