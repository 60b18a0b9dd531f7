// @ts-check
/** The addresses of the page: what they show, and how one goes from one to another. */

const FEED = 'feed';

/** @returns {string}  The name of the feed that the address opens; empty for none. */
export function addressedFeed() {
  return new URLSearchParams(location.search).get(FEED) ?? '';
}

/** @param {string} name  Of a feed; empty for the start. */
export function addressOf(name) {
  return name === '' ? '/' : `/?${new URLSearchParams({ [FEED]: name })}`;
}

/** Makes the address say what the page shows. @param {string} name  Of a feed, or empty. */
export function showAddressOf(name) {
  if (addressedFeed() !== name) history.pushState(null, '', addressOf(name));
}

/** Goes where one logs in, and comes back here from there. */
export function goToLogin() {
  location.assign(loginAddress());
}

/** Where one logs in, to come back here. */
export function loginAddress() {
  const here = location.pathname + location.search;
  return here === '/' ? '/login' : `/login?${new URLSearchParams({ next: here })}`;
}

/** @returns {string}  Where to go after the login: a path of this server and of no other. */
export function addressAfterLogin() {
  const next = new URLSearchParams(location.search).get('next') ?? '';
  // A browser takes two slashes, or a backslash for one of them, for another server's name.
  return /^\/(?![/\\])[!-~]*$/.test(next) ? next : '/';
}
