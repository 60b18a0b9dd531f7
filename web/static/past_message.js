// @ts-check
/** The history as the server tells it. */

import { countOrNull, list, number, object, text, texts } from './json.js';

/** @typedef {import('./json.js').Json} Json */
/**
 * How long a feed said the same.
 *
 * @typedef {object} Span
 * @property {string} feed
 * @property {Date} from
 * @property {Date} to
 * @property {string} said
 * @property {string} guess  What was too doubtful to be said; empty if nothing was.
 */
/**
 * @typedef {object} Bucket
 * @property {Date} from
 * @property {Date} to
 * @property {number} spans
 * @property {number} captions
 * @property {string[]} words  That were said most.
 */
/** @typedef {{from: Date, to: Date, feeds: string[], buckets: Bucket[]}} Timeline */

/** @param {Json} body @returns {{spans: Span[], before: number | null}} */
export function readFound(body) {
  const spans = list(body.spans).flatMap((value) => {
    const span = object(value);
    const said = text(span.said);
    return said === '' ? [] : [{ ...times(span), feed: text(span.feed), said, guess: text(span.guess) }];
  });
  return { spans, before: countOrNull(body.before) };
}

/** @param {Json} body @returns {Timeline} */
export function readTimeline(body) {
  const buckets = list(body.buckets).map((value) => {
    const bucket = object(value);
    return {
      ...times(bucket),
      spans: countOrNull(bucket.spans) ?? 0,
      captions: countOrNull(bucket.captions) ?? 0,
      words: list(bucket.words).map((word) => text(object(word).text)),
    };
  });
  return { ...times(body), feeds: texts(body.feeds), buckets };
}

/** @param {Json} value */
function times({ from, to }) {
  return { from: new Date(number(from, 0) * 1000), to: new Date(number(to, 0) * 1000) };
}
