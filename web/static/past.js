// @ts-check
/** The history: when something was seen, over all feeds and as long as captions are kept. */

import { loginLink, showAccount } from './account.js';
import { element } from './element.js';
import { readFeed } from './feed.js';
import { list } from './json.js';
import { getJson, Refused } from './json_request.js';
import { PastBars } from './past_bars.js';
import { PastDeletion } from './past_deletion.js';
import { readFound, readTimeline } from './past_message.js';
import { addressedSought, apiAddress, localTime, showAddressOf } from './past_query.js';
import { PastResults } from './past_results.js';

/** @typedef {import('./past_query.js').Sought} Sought */

const FORMATS = /** @type {const} */ (['vtt', 'srt', 'csv', 'jsonl']);
const PAGE = 50;
/** Each bar must be wide enough for a finger. */
const BAR_PX = 14;
const MOST_BARS = 60;

const form = element('sought', HTMLFormElement);
const words = element('words', HTMLInputElement);
const feedPicker = element('feed', HTMLSelectElement);
const from = element('from', HTMLInputElement);
const to = element('to', HTMLInputElement);
const count = element('found-count');
const older = element('older', HTMLButtonElement);
const allTimes = element('all-times', HTMLButtonElement);
const trouble = element('trouble');
const deletedNews = element('deleted-news');

/** @type {Map<string, string>} */
const titles = new Map();
const results = new PastResults(element('found'));
const bars = new PastBars(
  {
    bars: element('bars'),
    detail: element('bar-detail'),
    from: element('axis-from'),
    to: element('axis-to'),
  },
  (bucket) => {
    from.value = localTime(bucket.from);
    to.value = localTime(new Date(1000 * Math.ceil(bucket.to.getTime() / 1000)));
    search();
  },
);
const deletion = new PastDeletion((deleted) => {
  show();
  deletedNews.textContent = deleted === 1 ? '1 passage is deleted.' : `${deleted} passages are deleted.`;
}, tell);
let searching = new AbortController();
let shown = 0;
/** From where on there is more; null for nothing. @type {number | null} */
let before = null;

/** @returns {Sought} */
function sought() {
  return { words: words.value, feed: feedPicker.value, from: from.value, to: to.value };
}

function search() {
  deletedNews.textContent = '';
  showAddressOf(sought());
  show();
}

/** Shows what the form asks for. */
async function show() {
  searching.abort();
  const { signal } = (searching = new AbortController());
  const wanted = sought();
  allTimes.hidden = wanted.from === '' && wanted.to === '';
  for (const format of FORMATS) {
    element(`export-${format}`, HTMLAnchorElement).href = apiAddress('export', wanted, { format });
  }
  try {
    const [timeline, found] = await Promise.all([
      getJson(apiAddress('timeline', wanted, { buckets: barCount() }), signal),
      getJson(apiAddress('search', wanted, { limit: PAGE }), signal),
    ]);
    signal.throwIfAborted();
    element('history').hidden = false;
    trouble.textContent = '';
    const past = readTimeline(timeline);
    offerFeeds(past.feeds);
    bars.show(past);
    results.clear();
    shown = 0;
    add(readFound(found), wanted);
  } catch (problem) {
    if (!signal.aborted) tell(problem);
  }
}

async function showOlder() {
  if (before === null) return;
  const { signal } = searching;
  const wanted = sought();
  try {
    const found = await getJson(apiAddress('search', wanted, { limit: PAGE, before }), signal);
    signal.throwIfAborted();
    add(readFound(found), wanted);
  } catch (problem) {
    if (!signal.aborted) tell(problem);
  }
}

/**
 * @param {ReturnType<typeof readFound>} found
 * @param {Sought} wanted
 */
function add(found, wanted) {
  results.add(found.spans, wanted.words, (name) => titles.get(name) ?? name);
  shown += found.spans.length;
  before = found.before;
  older.hidden = before === null;
  count.textContent = countText(wanted);
  deletion.offer(wanted, titles.get(wanted.feed) ?? wanted.feed, shown > 0);
}

/** @param {Sought} wanted */
function countText(wanted) {
  if (shown > 0) {
    const passages = shown === 1 ? '1 passage' : `${shown} passages`;
    return before === null ? `${passages}, the newest first.` : `The newest ${passages}.`;
  }
  const isNarrowed = Object.values(wanted).some((value) => value !== '');
  return isNarrowed
    ? 'Nothing that was said fits. Try another word, or all times.'
    : 'Nothing has been said yet.';
}

/** @param {unknown} problem */
function tell(problem) {
  if (!(problem instanceof Refused)) throw problem;
  if (problem.code === 'history-off') {
    element('history-off').hidden = false;
  } else if (problem.status === 401) {
    trouble.replaceChildren('You are logged out. ', loginLink('Log in'));
  } else {
    element('history').hidden = false;
    trouble.textContent = sentence(problem.message);
  }
}

/** @param {string} text */
function sentence(text) {
  return `${text.charAt(0).toUpperCase()}${text.slice(1)}${/[.!?]$/.test(text) ? '' : '.'}`;
}

/** @param {string[]} names  Of all feeds of which something is kept. */
function offerFeeds(names) {
  const wanted = feedPicker.value;
  const all = wanted === '' || names.includes(wanted) ? names : [...names, wanted];
  feedPicker.replaceChildren(
    new Option('All', ''),
    ...all.map((name) => new Option(titles.get(name) ?? name, name)),
  );
  feedPicker.value = wanted;
}

async function learnTitles() {
  try {
    const { feeds } = await getJson('/api/feeds');
    for (const { name, title } of list(feeds).flatMap(readFeed)) titles.set(name, title);
  } catch (problem) {
    // Without them feeds are called by their names.
    if (!(problem instanceof Refused)) throw problem;
  }
}

function barCount() {
  const { clientWidth } = document.documentElement;
  return Math.min(MOST_BARS, Math.max(1, Math.floor(clientWidth / BAR_PX)));
}

function fillForm() {
  const wanted = addressedSought();
  words.value = wanted.words;
  from.value = wanted.from;
  to.value = wanted.to;
  if (![...feedPicker.options].some(({ value }) => value === wanted.feed)) {
    feedPicker.append(new Option(titles.get(wanted.feed) ?? wanted.feed, wanted.feed));
  }
  feedPicker.value = wanted.feed;
}

form.addEventListener('submit', (event) => {
  event.preventDefault();
  search();
});
feedPicker.addEventListener('change', search);
allTimes.addEventListener('click', () => {
  from.value = to.value = '';
  words.focus();
  search();
});
older.addEventListener('click', showOlder);
addEventListener('popstate', () => {
  fillForm();
  show();
});
element('zone').textContent =
  `Times are of this device: ${Intl.DateTimeFormat().resolvedOptions().timeZone}.`;
Promise.all([showAccount(element('account')), learnTitles()]).then(([role]) => {
  deletion.allow(role === 'admin');
  fillForm();
  show();
});
