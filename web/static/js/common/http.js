// @ts-check
/** JSON requests to the server's HTTP API, and the delays between retries. */

import { englishText } from './dom.js';
import { sentence } from './format.js';
import { gettext } from './i18n.js';
import { asObject, asString, parseJson } from './json.js';

/** @typedef {import('./json.js').JsonObject} JsonObject */

const TIMEOUT_MS = 10_000;
const DELETE_TIMEOUT_MS = 120_000;

const FIRST_RETRY_S = 0.5;
const MAX_RETRY_S = 10;
const MAX_RETRY_AFTER_S = 120;

/** An error response, or no response at all. */
export class HttpError extends Error {
  /**
   * @param {number} status  HTTP status; 0 if there was no response.
   * @param {string} code  The API's error code; empty if the response has none.
   * @param {string} message  For the user.
   * @param {number} [retryAfterS]  From the Retry-After header.
   */
  constructor(status, code, message, retryAfterS) {
    super(message);
    this.name = 'HttpError';
    this.status = status;
    this.code = code;
    this.retryAfterS = retryAfterS;
  }

  /** The message as a sentence; those of the server are in English. */
  get node() {
    const text = sentence(this.message);
    return this.status === 0 ? text : englishText(text);
  }
}

/**
 * @param {string} path
 * @param {AbortSignal} [signal]
 * @returns {Promise<JsonObject>}  Rejects with an HttpError, or with the signal's abort reason.
 */
export function getJson(path, signal) {
  return requestJson(path, { signal: signal ?? null });
}

/**
 * @param {string} path
 * @param {object} body
 * @param {number} [timeoutMs]
 * @returns {Promise<JsonObject>}  Rejects with an HttpError.
 */
export function postJson(path, body, timeoutMs = TIMEOUT_MS) {
  return requestJson(path, withBody('POST', body), timeoutMs);
}

/**
 * @param {string} path
 * @param {object} body
 * @returns {Promise<JsonObject>}  Rejects with an HttpError.
 */
export function putJson(path, body) {
  return requestJson(path, withBody('PUT', body));
}

/**
 * @param {string} path
 * @returns {Promise<JsonObject>}  Rejects with an HttpError.
 */
export function deleteJson(path) {
  return requestJson(path, { method: 'DELETE' }, DELETE_TIMEOUT_MS);
}

/**
 * @param {string} method
 * @param {object} body
 * @returns {RequestInit}
 */
function withBody(method, body) {
  return {
    method,
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify(body),
  };
}

/**
 * @param {string} path
 * @param {RequestInit} init
 * @param {number} [timeoutMs]
 * @returns {Promise<JsonObject>}
 */
async function requestJson(path, { signal, ...init }, timeoutMs = TIMEOUT_MS) {
  const timeout = AbortSignal.timeout(timeoutMs);
  let response, text;
  try {
    response = await fetch(path, {
      ...init,
      signal: signal ? AbortSignal.any([timeout, signal]) : timeout,
    });
    text = await response.text();
  } catch {
    signal?.throwIfAborted();
    throw new HttpError(0, 'server-gone', gettext('The server does not respond.'));
  }
  const body = asObject(parseJson(text));
  if (response.ok) return body;
  const { code, message } = asObject(body.error);
  throw new HttpError(
    response.status,
    asString(code),
    asString(message) || `HTTP status ${response.status}`,
    parseRetryAfter(response.headers.get('Retry-After')),
  );
}

/**
 * Parses a Retry-After header (RFC 9110, 10.2.3).
 *
 * @param {string | null} header  Seconds or an HTTP date.
 * @returns {number | undefined}  Seconds from now.
 */
export function parseRetryAfter(header) {
  if (header === null || header.trim() === '') return undefined;
  const seconds = Number(header);
  if (Number.isFinite(seconds)) return Math.max(0, seconds);
  const date = Date.parse(header);
  return Number.isNaN(date) ? undefined : Math.max(0, (date - Date.now()) / 1000);
}

/**
 * Returns the delay before the next attempt: the server's Retry-After if there is one, else
 * exponential backoff. Both have jitter, so that the clients of a restarted server do not all
 * reconnect at once.
 *
 * @param {number} failures  Attempts that failed in a row, 1 or more.
 * @param {number} [retryAfterS]
 * @returns {number}  Seconds.
 */
export function retryDelay(failures, retryAfterS) {
  if (retryAfterS !== undefined) {
    return Math.min(MAX_RETRY_AFTER_S, Math.max(1, retryAfterS)) * (1 + 0.1 * Math.random());
  }
  const delay = Math.min(MAX_RETRY_S, FIRST_RETRY_S * 2 ** (failures - 1));
  return delay * (0.7 + 0.3 * Math.random());
}
