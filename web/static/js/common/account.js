// @ts-check
/** The user's role in the page header, with links to log in and out. */

import { createButton, createElement } from './dom.js';
import { getJson, HttpError } from './http.js';
import { gettext } from './i18n.js';
import { asString, oneOf } from './json.js';
import { loginUrl } from './routes.js';

/** @typedef {'admin' | 'viewer' | 'nobody'} Role */

const ROLES = /** @type {const} */ (['admin', 'viewer']);
/** @type {Record<Role, string>} */
const ROLE_LABELS = {
  admin: gettext('Admin'),
  viewer: gettext('Viewer'),
  nobody: gettext('Not logged in'),
};

/**
 * Gets the user's role, and shows it unless the server has no tokens to log in with.
 *
 * @param {HTMLElement} container
 * @returns {Promise<Role>}  Admin if the server has no tokens; nobody after a login has expired.
 */
export async function showAccount(container) {
  try {
    const { role: value, tokens } = await getJson('api/me');
    const role = oneOf(asString(value), ROLES, /** @type {Role} */ ('nobody'));
    if (tokens === true) render(container, role);
    return role;
  } catch (error) {
    if (!(error instanceof HttpError)) throw error;
    // The page reports an unreachable server elsewhere, and the server enforces the role anyway.
    return 'admin';
  }
}

/**
 * @param {HTMLElement} container
 * @param {Role} role
 */
function render(container, role) {
  container.replaceChildren(createElement('span', 'role', ROLE_LABELS[role]));
  if (role === 'admin') {
    container.append(logOutButton());
  } else if (role === 'viewer') {
    container.append(loginLink(gettext('Log in as admin')), logOutButton());
  } else {
    container.append(loginLink(gettext('Log in')));
  }
  container.hidden = false;
}

/**
 * @param {HttpError} error
 * @returns {(HTMLElement | string)[]}  What happened; with a link if it is that the login expired.
 */
export function errorNodes(error) {
  return error.status === 401 ? loggedOutNodes() : [error.node];
}

export function loggedOutNodes() {
  return [gettext('You are logged out.'), ' ', loginLink(gettext('Log in'))];
}

/** @param {string} label */
function loginLink(label) {
  const link = createElement('a', '', label);
  link.href = loginUrl();
  return link;
}

function logOutButton() {
  const button = createButton(gettext('Log out'), 'link-button');
  button.addEventListener('click', async () => {
    await fetch('logout', { method: 'POST' }).catch(() => {});
    location.assign('login');
  });
  return button;
}
