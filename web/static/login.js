// @ts-check
/** The login: shows the server a token once; a cookie speaks for this browser from then on. */

import { element } from './element.js';
import { postJson, Refused } from './json_request.js';
import { addressAfterLogin } from './route.js';

const token = element('token', HTMLInputElement);
const fault = element('fault');
const enter = element('enter', HTMLButtonElement);

async function logIn() {
  tell('');
  enter.disabled = true;
  try {
    await postJson('/login', { token: token.value.trim() });
    location.replace(addressAfterLogin());
  } catch (problem) {
    if (!(problem instanceof Refused)) throw problem;
    enter.disabled = false;
    tell(faultText(problem));
    token.select();
    token.focus();
  }
}

/** @param {Refused} problem */
function faultText({ status, message, retryAfterS }) {
  switch (status) {
    case 0:
      return 'The server does not answer. Try again in a moment.';
    case 401:
      return 'That is no token of this server.';
    case 429:
      return `Too many wrong tokens came from here. Try again in ${Math.ceil(retryAfterS ?? 10)} s.`;
    default:
      return `The server refused: ${message}`;
  }
}

/** @param {string} text  What is wrong; empty for nothing. */
function tell(text) {
  fault.textContent = text;
  token.setAttribute('aria-invalid', String(text !== ''));
}

element('login', HTMLFormElement).addEventListener('submit', (event) => {
  event.preventDefault();
  if (token.value.trim() === '') {
    tell('Enter the token.');
    token.focus();
  } else {
    logIn();
  }
});
token.focus();
