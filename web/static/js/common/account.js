// @ts-check
/** Who has logged in, what that lets them do, and how they log out. */

import { make } from './element.js';
import { getJson, Refused } from './json_request.js';
import { oneOf, text } from './json.js';
import { loginAddress } from './route.js';

/** @typedef {'admin' | 'viewer' | 'nobody'} Role */

const ROLES = /** @type {const} */ (['admin', 'viewer']);
/** @type {Record<Role, string>} */
const NAMES = { admin: 'Admin', viewer: 'Viewer', nobody: 'Not logged in' };

/**
 * @param {HTMLElement} place  Where it is shown, if there is anything to log in to.
 * @returns {Promise<Role>}  Admin where the server has no tokens; nobody when a login has ended.
 */
export async function showAccount(place) {
  try {
    const { role: value, tokens } = await getJson('/api/me');
    const role = oneOf(text(value), ROLES, /** @type {Role} */ ('nobody'));
    if (tokens === true) show(place, role);
    return role;
  } catch (problem) {
    if (!(problem instanceof Refused)) throw problem;
    // The server does not answer, which is told elsewhere; it refuses what may not be.
    return 'admin';
  }
}

/**
 * @param {HTMLElement} place
 * @param {Role} role
 */
function show(place, role) {
  place.replaceChildren(make('span', 'role', NAMES[role]));
  if (role === 'admin') {
    place.append(logOutButton());
  } else if (role === 'viewer') {
    place.append(loginLink('Log in as admin'), logOutButton());
  } else {
    place.append(loginLink('Log in'));
  }
  place.hidden = false;
}

/** @param {string} label */
export function loginLink(label) {
  const link = make('a', '', label);
  link.href = loginAddress();
  return link;
}

function logOutButton() {
  const button = make('button', 'quiet', 'Log out');
  button.type = 'button';
  button.addEventListener('click', async () => {
    await fetch('/logout', { method: 'POST' }).catch(() => {});
    location.assign('/login');
  });
  return button;
}
