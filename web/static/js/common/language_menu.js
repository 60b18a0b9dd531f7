// @ts-check
/** The menu of languages: keeps the choice in a cookie, which the server reads. */

import { getElement } from './dom.js';

const COOKIE = 'sightline-language';
const PARAMETER = 'lang';
const YEAR_S = 31_536_000;
/** Of the server; a reverse proxy may add a prefix to its paths. */
const ROOT = new URL('../../..', import.meta.url);

const menu = getElement('language', HTMLSelectElement);

menu.addEventListener('change', () => {
  const secure = location.protocol === 'https:' ? '; Secure' : '';
  document.cookie = `${COOKIE}=${menu.value}; Path=${ROOT.pathname}; Max-Age=${YEAR_S}; SameSite=Lax${secure}`;
  const url = new URL(location.href);
  url.searchParams.delete(PARAMETER);
  // A page in a frame, or a browser that is set to keep no cookies, has the choice in its URL.
  if (!document.cookie.includes(`${COOKIE}=${menu.value}`)) {
    url.searchParams.set(PARAMETER, menu.value);
  }
  if (url.href === location.href) location.reload();
  else location.assign(url);
});
