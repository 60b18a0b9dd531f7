// @ts-check
/** URLs of the pages: read the current one, build others, navigate. */

import { pathOrNull } from './json.js';

const FEED_PARAM = 'feed';

/** @returns {string}  The name of the feed in the page's URL; empty if there is none. */
export function feedInUrl() {
  return new URLSearchParams(location.search).get(FEED_PARAM) ?? '';
}

/** @param {string} feed  The feed's name; empty for the start page. */
export function feedUrl(feed) {
  return feed === '' ? '/' : `/?${new URLSearchParams({ [FEED_PARAM]: feed })}`;
}

/** Adds a history entry for a feed unless its URL is open already. @param {string} feed */
export function pushFeedUrl(feed) {
  if (feedInUrl() !== feed) history.pushState(null, '', feedUrl(feed));
}

/** Opens the login page, which returns to this one. */
export function openLogin() {
  location.assign(loginUrl());
}

/** The login page's URL, with this page as the one to return to. */
export function loginUrl() {
  const here = location.pathname + location.search;
  return here === '/' ? '/login' : `/login?${new URLSearchParams({ next: here })}`;
}

/** @returns {string}  The path to open after the login; never another host. */
export function urlAfterLogin() {
  return pathOrNull(new URLSearchParams(location.search).get('next')) ?? '/';
}
