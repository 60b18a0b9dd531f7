// @ts-check
/** The history page: searches the stored captions of all feeds by words, feed and time. */

import { errorNodes, showAccount } from '../common/account.js';
import { getElement, setText } from '../common/dom.js';
import { getJson, HttpError } from '../common/http.js';
import { gettext, ngettext, pgettext } from '../common/i18n.js';
import { asArray } from '../common/json.js';
import { readFeed } from '../feeds/feed.js';
import { showPictureNotice } from '../feeds/picture_notice.js';
import { DeleteDialog } from './delete_dialog.js';
import {
  apiUrl,
  localTime,
  pushQueryUrl,
  queryInUrl,
  readSearchResult,
  readTimeline,
} from './history_api.js';
import { PictureDialog } from './picture_dialog.js';
import { SearchResults } from './search_results.js';
import { SummaryView } from './summary_view.js';
import { barCount, namedRange } from './time_ranges.js';
import { Timeline } from './timeline.js';
import { findLatestPicture, TimelinePreview } from './timeline_preview.js';

/** @typedef {import('./history_api.js').Query} Query */
/** @typedef {import('./history_api.js').SearchResult} SearchResult */

const EXPORT_FORMATS = /** @type {const} */ (['vtt', 'srt', 'csv', 'jsonl']);
const PAGE_SIZE = 50;
/** A bar must be wide enough for a finger. */
const BAR_PX = 14;
const MAX_BARS = 60;
/** The server includes what is dated up to a minute ahead of its clock. */
const AHEAD_MS = 62_000;

const form = getElement('sought', HTMLFormElement);
const wordsField = getElement('words', HTMLInputElement);
const feedSelect = getElement('feed', HTMLSelectElement);
const fromField = getElement('from', HTMLInputElement);
const toField = getElement('to', HTMLInputElement);
const exactBox = getElement('exact-only', HTMLInputElement);
const countLine = getElement('found-count');
const olderButton = getElement('older', HTMLButtonElement);
const allTimesButton = getElement('all-times', HTMLButtonElement);
const errorLine = getElement('trouble');
const deletedLine = getElement('deleted-news');

/** Of the feeds, by name. @type {Map<string, string>} */
const titles = new Map();
const pictureDialog = new PictureDialog();
const results = new SearchResults(getElement('found'), (span, title) => {
  void pictureDialog.show(span, title);
});
const preview = new TimelinePreview(getElement('bar-picture', HTMLImageElement));
const timeline = new Timeline(
  {
    section: getElement('timeline'),
    bars: getElement('bars'),
    detail: getElement('bar-detail'),
    from: getElement('axis-from'),
    to: getElement('axis-to'),
  },
  (bucket) => {
    fromField.value = localTime(bucket.from);
    toField.value = localTime(new Date(1000 * Math.ceil(bucket.to.getTime() / 1000)));
    search();
  },
  (bucket) => preview.show(bucket),
);
const summary = new SummaryView(
  {
    details: getElement('summary', HTMLDetailsElement),
    period: getElement('summary-period'),
    container: getElement('summaries'),
  },
  titles,
);
const deleteDialog = new DeleteDialog((count) => {
  load();
  deletedLine.textContent = ngettext('{count} result deleted.', '{count} results deleted.', count);
}, showError);
/** Aborts the requests of the last search. */
let requests = new AbortController();
let shownCount = 0;
/** Whether pictures of feeds are. */
let areStored = false;
/** Results that are left out, because they are dated ahead of the server's clock. */
let aheadCount = 0;
/** The parameters of the next page; null if there is none. @type {SearchResult['next']} */
let nextPage = null;

/** @returns {Query}  From the form. */
function currentQuery() {
  return {
    words: wordsField.value,
    feed: feedSelect.value,
    from: fromField.value,
    to: toField.value,
    match: exactBox.checked ? 'exact' : '',
  };
}

function search() {
  deletedLine.textContent = '';
  pushQueryUrl(currentQuery());
  load();
}

/** Loads the timeline and the first page of results. */
async function load() {
  requests.abort();
  requests = new AbortController();
  const { signal } = requests;
  const query = currentQuery();
  summary.update(query);
  allTimesButton.hidden = query.from === '' && query.to === '';
  for (const format of EXPORT_FORMATS) {
    getElement(`export-${format}`, HTMLAnchorElement).href = apiUrl('export', query, { format });
  }
  try {
    const [timelineBody, searchBody, pictured] = await Promise.all([
      getJson(apiUrl('timeline', query, { buckets: barCount(query, maxBars()) }), signal),
      getJson(apiUrl('search', query, { limit: PAGE_SIZE }), signal),
      areStored ? findLatestPicture(query, signal) : null,
    ]);
    signal.throwIfAborted();
    getElement('history').hidden = false;
    errorLine.textContent = '';
    const data = readTimeline(timelineBody);
    updateFeedOptions(data.feeds);
    preview.reset(query, pictured !== null);
    timeline.show(data);
    results.clear();
    shownCount = 0;
    aheadCount = data.ahead;
    getElement('ahead').hidden = aheadCount === 0;
    setText(getElement('ahead-count'), aheadText(aheadCount));
    addResults(readSearchResult(searchBody), query);
  } catch (error) {
    if (!signal.aborted) showError(error);
  }
}

async function loadOlder() {
  if (nextPage === null) return;
  const { signal } = requests;
  const query = currentQuery();
  try {
    const params = { limit: PAGE_SIZE, ...nextPage };
    const body = await getJson(apiUrl('search', query, params), signal);
    signal.throwIfAborted();
    addResults(readSearchResult(body), query);
  } catch (error) {
    if (!signal.aborted) showError(error);
  }
}

/**
 * @param {SearchResult} found
 * @param {Query} query
 */
function addResults({ spans, next, synonyms }, query) {
  results.add(spans, query.words, synonyms, titles);
  shownCount += spans.length;
  nextPage = next;
  olderButton.hidden = nextPage === null;
  countLine.textContent = countText(query);
  getElement('exports').hidden = shownCount === 0;
  getElement('no-matches').hidden = shownCount > 0 || !isFiltered(query);
  getElement('no-captions').hidden = shownCount + aheadCount > 0 || isFiltered(query);
  deleteDialog.update(query, titles.get(query.feed) ?? query.feed, shownCount + aheadCount > 0);
}

/** @param {Query} query */
function countText(query) {
  if (shownCount > 0) {
    if (results.hasInexact) {
      return ngettext('{count} result', '{count} results, exact ones first', shownCount);
    }
    return nextPage === null
      ? ngettext('{count} result, newest first', '{count} results, newest first', shownCount)
      : ngettext('Newest {count} result', 'Newest {count} results', shownCount);
  }
  return isFiltered(query)
    ? gettext('No matches. Try another word, or all times.')
    : gettext('No captions yet.');
}

/** @param {Query} query */
function isFiltered(query) {
  return [query.words, query.feed, query.from, query.to].some((value) => value !== '');
}

/** @param {number} count */
function aheadText(count) {
  return ngettext(
    '{count} result is dated ahead of the server’s clock.',
    '{count} results are dated ahead of the server’s clock.',
    count,
  );
}

/** @param {unknown} error */
function showError(error) {
  if (!(error instanceof HttpError)) throw error;
  if (error.code === 'history-off') {
    getElement('history-off').hidden = false;
  } else {
    if (error.status !== 401) getElement('history').hidden = false;
    errorLine.replaceChildren(...errorNodes(error));
  }
}

/** @param {string[]} names  Of all feeds in the history. */
function updateFeedOptions(names) {
  const selected = feedSelect.value;
  const all = selected === '' || names.includes(selected) ? names : [...names, selected];
  feedSelect.replaceChildren(
    new Option(pgettext('feeds', 'All'), ''),
    ...all.map((name) => new Option(titles.get(name) ?? name, name)),
  );
  feedSelect.value = selected;
}

async function loadTitles() {
  try {
    const { feeds, pictures } = await getJson('api/feeds');
    areStored = pictures === true;
    showPictureNotice(areStored);
    for (const { name, title } of asArray(feeds).flatMap(readFeed)) titles.set(name, title);
  } catch (error) {
    // Without titles, feeds are shown by name.
    if (!(error instanceof HttpError)) throw error;
  }
}

function maxBars() {
  const { clientWidth } = document.documentElement;
  return Math.min(MAX_BARS, Math.max(1, Math.floor(clientWidth / BAR_PX)));
}

/** Fills the form from the page's URL. */
function fillForm() {
  const query = queryInUrl();
  wordsField.value = query.words;
  fromField.value = query.from;
  toField.value = query.to;
  exactBox.checked = query.match === 'exact';
  if (![...feedSelect.options].some(({ value }) => value === query.feed)) {
    feedSelect.append(new Option(titles.get(query.feed) ?? query.feed, query.feed));
  }
  feedSelect.value = query.feed;
}

form.addEventListener('submit', (event) => {
  event.preventDefault();
  search();
});
feedSelect.addEventListener('change', search);
exactBox.addEventListener('change', search);
allTimesButton.addEventListener('click', () => {
  fromField.value = toField.value = '';
  wordsField.focus();
  search();
});
getElement('ranges').addEventListener('click', ({ target }) => {
  const name = target instanceof HTMLElement ? target.dataset.range : undefined;
  if (name === undefined) return;
  const { from, to } = namedRange(name);
  [fromField.value, toField.value] = [from, to];
  search();
});
getElement('clear-search').addEventListener('click', () => {
  for (const field of [wordsField, feedSelect, fromField, toField]) field.value = '';
  wordsField.focus();
  search();
});
getElement('show-ahead').addEventListener('click', () => {
  fromField.value = localTime(new Date(Date.now() + AHEAD_MS));
  toField.value = '';
  search();
});
olderButton.addEventListener('click', loadOlder);
addEventListener('popstate', () => {
  fillForm();
  load();
});
const { timeZone } = Intl.DateTimeFormat().resolvedOptions();
getElement('zone').textContent = gettext('Times shown in {zone}.', { zone: timeZone });
Promise.all([showAccount(getElement('account')), loadTitles()]).then(([role]) => {
  deleteDialog.isAllowed = role === 'admin';
  fillForm();
  load();
});
