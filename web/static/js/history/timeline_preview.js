// @ts-check
/** The small picture beside the timeline: the latest of the bar that the user looks at. */

import { getJson, HttpError } from '../common/http.js';
import { apiUrl, readSearchResult } from './history_api.js';

/** @typedef {import('./history_api.js').Bucket} Bucket */
/** @typedef {import('./history_api.js').Query} Query */
/** @typedef {import('./history_api.js').Span} Span */

/** Bars that are passed faster than this request nothing. */
const DELAY_MS = 150;

export class TimelinePreview {
  #image;
  /** @type {Query | null} */
  #query = null;
  /** The bar whose picture is shown, or requested. @type {Bucket | undefined} */
  #bucket;
  /** What was found; null for nothing. @type {Map<Bucket, Span | null>} */
  #found = new Map();
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;
  #request = new AbortController();

  /** @param {HTMLImageElement} image  Takes its space only while there are pictures. */
  constructor(image) {
    this.#image = image;
    image.addEventListener('error', () => image.removeAttribute('src'));
  }

  /**
   * Shows pictures of the bars of a query.
   *
   * @param {Query} query
   * @param {boolean} hasPictures  Whether there is one that this user may see.
   */
  reset(query, hasPictures) {
    this.show(undefined);
    this.#query = hasPictures ? query : null;
    this.#found.clear();
    this.#image.hidden = !hasPictures;
  }

  /** @param {Bucket | undefined} bucket  Of the bar under the pointer or with the focus. */
  show(bucket) {
    if (bucket === this.#bucket) return;
    this.#bucket = bucket;
    clearTimeout(this.#timer);
    this.#request.abort();
    const found = bucket && this.#found.get(bucket);
    this.#showSpan(found ?? null);
    if (!this.#query || !bucket || bucket.captions === 0 || found !== undefined) return;
    const query = this.#query;
    this.#timer = setTimeout(() => void this.#load(query, bucket), DELAY_MS);
  }

  /**
   * @param {Query} query
   * @param {Bucket} bucket
   */
  async #load(query, bucket) {
    const { signal } = (this.#request = new AbortController());
    try {
      const span = await findLatestPicture(query, signal, bucket);
      if (signal.aborted) return;
      this.#found.set(bucket, span);
      this.#showSpan(span);
    } catch (error) {
      // The timeline is as useful without it.
      if (!signal.aborted && !(error instanceof HttpError)) throw error;
    }
  }

  /** @param {Span | null} span */
  #showSpan(span) {
    if (span) this.#image.src = span.picture;
    else this.#image.removeAttribute('src');
    this.#image.alt = span?.text ?? '';
  }
}

/**
 * @param {Query} query
 * @param {AbortSignal} signal
 * @param {Bucket} [bucket]  Only of its time.
 * @returns {Promise<Span | null>}  The latest caption that has a picture; null for none.
 */
export async function findLatestPicture(query, signal, bucket) {
  const period = bucket && {
    from: bucket.from.getTime() / 1000,
    to: bucket.to.getTime() / 1000,
  };
  const params = { limit: 1, pictured: 'true', ...period };
  const { spans } = readSearchResult(await getJson(apiUrl('search', query, params), signal));
  return spans.find(({ picture }) => picture !== '') ?? null;
}
