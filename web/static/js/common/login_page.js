// @ts-check
/** The login page: exchanges a token for a session cookie. */

import { getElement } from './dom.js';
import { HttpError, postJson } from './http.js';
import { urlAfterLogin } from './routes.js';

const tokenField = getElement('token', HTMLInputElement);
const errorLine = getElement('fault');
const submitButton = getElement('enter', HTMLButtonElement);

async function logIn() {
  showError('');
  submitButton.disabled = true;
  try {
    await postJson('login', { token: tokenField.value.trim() });
    location.replace(urlAfterLogin());
  } catch (error) {
    if (!(error instanceof HttpError)) throw error;
    submitButton.disabled = false;
    showError(errorText(error));
    tokenField.select();
    tokenField.focus();
  }
}

/** @param {HttpError} error */
function errorText({ status, message, retryAfterS }) {
  switch (status) {
    case 0:
      return 'The server does not respond. Try again in a moment.';
    case 401:
      return 'Wrong token.';
    case 429:
      return `Too many wrong tokens. Try again in ${Math.ceil(retryAfterS ?? 10)} s.`;
    default:
      return `Login failed: ${message}`;
  }
}

/** @param {string} text  Empty for no error. */
function showError(text) {
  errorLine.textContent = text;
  tokenField.setAttribute('aria-invalid', String(text !== ''));
}

getElement('login', HTMLFormElement).addEventListener('submit', (event) => {
  event.preventDefault();
  if (tokenField.value.trim() === '') {
    showError('Enter a token.');
    tokenField.focus();
  } else {
    logIn();
  }
});
tokenField.focus();
