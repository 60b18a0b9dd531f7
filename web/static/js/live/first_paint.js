// @ts-check
/** Runs before anything is painted: whoever opens a feed by its address sees no start page first. */

if (new URLSearchParams(location.search).has('feed')) {
  document.documentElement.dataset.state = 'connecting';
}
