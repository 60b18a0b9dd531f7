// @ts-check
/** What the server answers in JSON over HTTP, and what it says when it refuses. */

import { retryAfterSeconds } from './backoff.js';
import { object, text } from './json.js';

/** @typedef {import('./json.js').Json} Json */

const PATIENCE_MS = 10_000;
const PATIENCE_TO_DELETE_MS = 120_000;

/** The server did not give what it was asked for. */
export class Refused extends Error {
  /**
   * @param {number} status  Of HTTP; 0 if there was no answer.
   * @param {string} code
   * @param {string} message  For people.
   * @param {number} [retryAfterS]  The pause that it asked for.
   */
  constructor(status, code, message, retryAfterS) {
    super(message);
    this.status = status;
    this.code = code;
    this.retryAfterS = retryAfterS;
  }
}

/**
 * @param {string} path
 * @param {AbortSignal} [signal]
 * @returns {Promise<Json>}  Rejects with a Refused, or with what `signal` was aborted for.
 */
export function getJson(path, signal) {
  return requestJson(path, { signal });
}

/**
 * @param {string} path
 * @param {object} body
 * @returns {Promise<Json>}  Rejects with a Refused.
 */
export function postJson(path, body) {
  return requestJson(path, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify(body),
  });
}

/**
 * @param {string} path
 * @returns {Promise<Json>}  Rejects with a Refused.
 */
export function deleteJson(path) {
  return requestJson(path, { method: 'DELETE' }, PATIENCE_TO_DELETE_MS);
}

/**
 * @param {string} path
 * @param {RequestInit} init
 * @param {number} [patienceMs]
 * @returns {Promise<Json>}
 */
async function requestJson(path, { signal, ...init }, patienceMs = PATIENCE_MS) {
  const patience = AbortSignal.timeout(patienceMs);
  let response, body;
  try {
    response = await fetch(path, { ...init, signal: either(patience, signal ?? null) });
    body = await response.text();
  } catch {
    signal?.throwIfAborted();
    throw new Refused(0, 'server-gone', 'The server does not answer.');
  }
  const answer = object(parsed(body));
  if (response.ok) return answer;
  const { code, message } = object(answer.error);
  throw new Refused(
    response.status,
    text(code),
    text(message) || `HTTP status ${response.status}`,
    retryAfterSeconds(response.headers.get('Retry-After')),
  );
}

/**
 * @param {AbortSignal} one
 * @param {AbortSignal | null} other
 */
function either(one, other) {
  return other ? AbortSignal.any([one, other]) : one;
}

/** @param {string} body @returns {unknown}  Null when it is no JSON. */
function parsed(body) {
  try {
    return JSON.parse(body);
  } catch {
    return null;
  }
}
