// @ts-check
/** A classic script, run before the first paint, so that a feed's URL shows no start page first. */

if (new URLSearchParams(location.search).has('feed')) {
  document.documentElement.dataset.state = 'connecting';
}
