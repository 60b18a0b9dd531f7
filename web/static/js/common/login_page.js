// @ts-check
/** The login page: exchanges a token for a session cookie. */

import { getElement } from './dom.js';
import { secondsText } from './format.js';
import { HttpError, postJson } from './http.js';
import { gettext, gettextNodes } from './i18n.js';
import { urlAfterLogin } from './routes.js';

const tokenField = getElement('token', HTMLInputElement);
const errorLine = getElement('fault');
const submitButton = getElement('enter', HTMLButtonElement);

async function logIn() {
  showError();
  submitButton.disabled = true;
  try {
    await postJson('login', { token: tokenField.value.trim() });
    location.replace(urlAfterLogin());
  } catch (error) {
    if (!(error instanceof HttpError)) throw error;
    submitButton.disabled = false;
    showError(...[errorText(error)].flat());
    tokenField.select();
    tokenField.focus();
  }
}

/** @param {HttpError} error */
function errorText({ status, node, retryAfterS }) {
  switch (status) {
    case 0:
      return gettext('The server does not respond. Try again in a moment.');
    case 401:
      return gettext('Wrong token.');
    case 429:
      return gettext('Too many wrong tokens. Try again in {duration}.', {
        duration: secondsText(Math.ceil(retryAfterS ?? 10)),
      });
    default:
      return gettextNodes('Login failed: {reason}', { reason: node });
  }
}

/** @param {...(Node | string)} text  Nothing for no error. */
function showError(...text) {
  errorLine.replaceChildren(...text);
  tokenField.setAttribute('aria-invalid', String(text.length > 0));
}

getElement('login', HTMLFormElement).addEventListener('submit', (event) => {
  event.preventDefault();
  if (tokenField.value.trim() === '') {
    showError(gettext('Enter a token.'));
    tokenField.focus();
  } else {
    logIn();
  }
});
tokenField.focus();
