// @ts-check
/** The history API: the query in the page's URL and in requests, and the responses. */

import {
  asArray,
  asNumber,
  asObject,
  asString,
  asStrings,
  asTime,
  countOrNull,
  pictureUrl,
} from '../common/json.js';

/** @typedef {import('../common/json.js').JsonObject} JsonObject */
/**
 * What to search for. Times are local, as a `datetime-local` field has them; all may be empty.
 * `match` is "exact" for the words themselves only.
 *
 * @typedef {object} Query
 * @property {string} words
 * @property {string} feed
 * @property {string} from
 * @property {string} to
 * @property {'' | 'exact'} match
 */
/**
 * A period over which a feed's caption did not change.
 *
 * @typedef {object} Span
 * @property {string} feed
 * @property {Date} from
 * @property {Date} to
 * @property {string} text
 * @property {string} guess  The full caption if its confidence was too low; else empty.
 * @property {string} picture  URL of its picture, relative to the page; empty for none.
 * @property {Match} match
 */
/** @typedef {'exact' | 'similar' | 'partial'} Match  By words, by synonyms, or by most of these. */
/**
 * One bar of the timeline.
 *
 * @typedef {object} Bucket
 * @property {Date} from
 * @property {Date} to
 * @property {number} results  Periods that begin in it.
 * @property {number} captions
 * @property {string[]} words  The most frequent ones.
 */
/**
 * A page of results.
 *
 * @typedef {object} SearchResult
 * @property {Span[]} spans
 * @property {{before: number, match: string} | null} next  Parameters of the next page.
 * @property {string[]} synonyms  Further words that were looked for.
 */
/**
 * @typedef {object} TimelineData
 * @property {Date} from
 * @property {Date} to
 * @property {string[]} feeds
 * @property {Bucket[]} buckets
 * @property {number} ahead  Results that are left out: they are dated ahead of the server's clock.
 */

/** @typedef {{from: Date, to: Date, byHour: boolean}} SummaryRange */
/**
 * An object that captions or tags stated.
 *
 * @typedef {object} StatedObject
 * @property {string} text
 * @property {number} seconds   How long.
 * @property {number} captions
 * @property {number} times     How many times, with a minute or more between them.
 * @property {Date} first
 * @property {Date} last
 */
/** @typedef {{at: Date, appeared: string[], gone: string[]}} Change  Of objects. */
/**
 * What a feed's captions stated over a period.
 *
 * @typedef {object} Summary
 * @property {string} name  Of the feed.
 * @property {Date} from
 * @property {Date} to
 * @property {number} captions
 * @property {number} captionedS     Seconds with captions.
 * @property {number} unsureS        Of those, of low confidence.
 * @property {number} blankS         Of those, of a video that showed nothing.
 * @property {number} uncalibratedS  Of those, without a confidence.
 * @property {StatedObject[]} objects
 * @property {number} moreObjects
 * @property {Change[]} changes
 * @property {number} moreChanges
 */
/** @typedef {Summary & {hours: Summary[]}} FeedSummary */

const MATCHES = /** @type {const} */ (['exact', 'similar', 'partial']);
const URL_KEYS = /** @type {const} */ ([
  ['words', 'q'],
  ['feed', 'feed'],
  ['from', 'from'],
  ['to', 'to'],
  ['match', 'match'],
]);

/** @returns {Query}  From the page's URL. */
export function queryInUrl() {
  const params = new URLSearchParams(location.search);
  const valueOf = (/** @type {string} */ key) => params.get(key) ?? '';
  return {
    words: valueOf('q'),
    feed: valueOf('feed'),
    from: valueOf('from'),
    to: valueOf('to'),
    match: valueOf('match') === 'exact' ? 'exact' : '',
  };
}

/** Adds a browser history entry for a query unless its URL is open already. @param {Query} query */
export function pushQueryUrl(query) {
  const search = queryUrl(query);
  if (location.search !== search) history.pushState(null, '', search);
}

/** @param {Query} query @returns {string}  The page's URL for it, relative to the page. */
export function queryUrl(query) {
  const params = URL_KEYS.flatMap(([name, key]) =>
    query[name] === '' ? [] : [`${key}=${encodeURIComponent(query[name])}`],
  );
  return `?${['history', ...params].join('&')}`;
}

/**
 * @param {'search' | 'timeline' | 'export'} resource
 * @param {Query} query
 * @param {Record<string, string | number>} params  Further ones.
 * @returns {string}  The API's URL.
 */
export function apiUrl(resource, query, params) {
  const all = apiParams(query);
  for (const [name, value] of Object.entries(params)) all.set(name, String(value));
  return `api/history/${resource}?${all}`;
}

/**
 * @param {Query} query
 * @returns {string}  The API's URL to delete all captions that match.
 */
export function deletionUrl(query) {
  return `api/history?${isForAll(query) ? 'all=true' : apiParams(query)}`;
}

/**
 * @param {string} feed  Empty for all.
 * @param {SummaryRange} range
 * @returns {string}  The API's URL of the summary.
 */
export function summaryUrl(feed, { from, to, byHour }) {
  const params = new URLSearchParams({
    from: String(from.getTime() / 1000),
    to: String(to.getTime() / 1000),
    hours: String(byHour),
  });
  if (feed !== '') params.set('feed', feed);
  return `api/history/summary?${params}`;
}

/** @param {Query} query @returns {boolean}  Whether it selects everything. */
export function isForAll(query) {
  return apiParams(query).size === 0;
}

/** @param {Query} query */
function apiParams({ words, feed, from, to, match }) {
  const params = new URLSearchParams();
  if (words.trim() !== '') {
    params.set('q', words);
    if (match !== 'exact') params.set('match', 'all');
  }
  if (feed !== '') params.set('feed', feed);
  for (const [name, time] of Object.entries({ from, to })) {
    const seconds = Date.parse(time) / 1000;
    if (Number.isFinite(seconds)) params.set(name, String(seconds));
  }
  return params;
}

/**
 * @param {Date} time
 * @returns {string}  As a `datetime-local` field has it, in whole seconds.
 */
export function localTime(time) {
  const padded = (/** @type {number} */ part) => String(part).padStart(2, '0');
  const date = [time.getFullYear(), padded(time.getMonth() + 1), padded(time.getDate())].join('-');
  const clock = [time.getHours(), time.getMinutes(), time.getSeconds()].map(padded).join(':');
  return `${date}T${clock}`;
}

/** @param {JsonObject} body @returns {SearchResult} */
export function readSearchResult(body) {
  const spans = asArray(body.spans).flatMap((value) => {
    const span = asObject(value);
    const text = asString(span.said);
    if (text === '') return [];
    const [feed, guess] = [asString(span.feed), asString(span.guess)];
    const match = MATCHES.find((each) => each === span.match) ?? 'exact';
    const picture = pictureUrl(span.picture);
    return [{ ...readPeriod(span), feed, text, guess, picture, match }];
  });
  const before = countOrNull(body.before);
  const next = before === null ? null : { before, match: asString(body.next_match) };
  return { spans, next, synonyms: asStrings(body.synonyms) };
}

/** @param {JsonObject} body @returns {TimelineData} */
export function readTimeline(body) {
  const buckets = asArray(body.buckets).map((value) => {
    const bucket = asObject(value);
    return {
      ...readPeriod(bucket),
      results: countOrNull(bucket.spans) ?? 0,
      captions: countOrNull(bucket.captions) ?? 0,
      words: asArray(bucket.words).map((word) => asString(asObject(word).text)),
    };
  });
  const ahead = countOrNull(body.ahead) ?? 0;
  return { ...readPeriod(body), feeds: asStrings(body.feeds), buckets, ahead };
}

/** @param {JsonObject} body @returns {FeedSummary[]} */
export function readSummaries(body) {
  return asArray(body.feeds).map((value) => {
    const feed = asObject(value);
    return { ...readSummary(feed), hours: asArray(feed.hours).map(asObject).map(readSummary) };
  });
}

/** @param {JsonObject} value @returns {Summary} */
function readSummary(value) {
  return {
    ...readPeriod(value),
    name: asString(value.feed),
    captions: countOrNull(value.captions) ?? 0,
    captionedS: asNumber(value.captioned_s, 0),
    unsureS: asNumber(value.unsure_s, 0),
    blankS: asNumber(value.blank_s, 0),
    uncalibratedS: asNumber(value.uncalibrated_s, 0),
    objects: asArray(value.objects).map(asObject).map(readObject),
    moreObjects: countOrNull(value.more_objects) ?? 0,
    changes: asArray(value.changes).map(asObject).map(readChange),
    moreChanges: countOrNull(value.more_changes) ?? 0,
  };
}

/** @param {JsonObject} value @returns {StatedObject} */
function readObject(value) {
  return {
    text: asString(value.text),
    seconds: asNumber(value.seconds, 0),
    captions: countOrNull(value.captions) ?? 0,
    times: countOrNull(value.times) ?? 0,
    first: asTime(value.first),
    last: asTime(value.last),
  };
}

/** @param {JsonObject} value @returns {Change} */
function readChange({ at, appeared, gone }) {
  return { at: asTime(at), appeared: asStrings(appeared), gone: asStrings(gone) };
}

/** @param {JsonObject} value */
function readPeriod({ from, to }) {
  return { from: asTime(from), to: asTime(to) };
}
