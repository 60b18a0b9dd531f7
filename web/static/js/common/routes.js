// @ts-check
/**
 * URLs of the pages: read the current one, build others, navigate.
 *
 * All URLs are relative, since a reverse proxy may add a prefix to the server's paths. Every page is
 * directly below the server's root.
 */

const FEED_PARAM = 'feed';
const ROOT = new URL('.', document.baseURI).href;

/** @returns {string}  The name of the feed in the page's URL; empty if there is none. */
export function feedInUrl() {
  return new URLSearchParams(location.search).get(FEED_PARAM) ?? '';
}

/** @param {string} feed  The feed's name; empty for the start page. */
export function feedUrl(feed) {
  return feed === '' ? './' : `./?${new URLSearchParams({ [FEED_PARAM]: feed })}`;
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
  const next = location.href.slice(ROOT.length);
  return next === '' ? 'login' : `login?${new URLSearchParams({ next })}`;
}

/** @returns {string}  The URL to open after the login; never one of another server. */
export function urlAfterLogin() {
  const next = new URLSearchParams(location.search).get('next') ?? '';
  const url = URL.canParse(next, ROOT) ? new URL(next, ROOT).href : ROOT;
  return url.startsWith(ROOT) ? url : ROOT;
}
