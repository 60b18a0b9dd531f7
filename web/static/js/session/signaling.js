// @ts-check
/** The exchange of session descriptions with the server: `POST /offer`. */

import { Problem } from './problems.js';
import { retryAfterSeconds } from './backoff.js';

/** @typedef {import('./inputs.js').Request} Request */

const GATHERING_LIMIT_MS = 2_000;
const ANSWER_LIMIT_MS = 10_000;

/**
 * Makes the offer, sends it, and applies the answer. There is no trickle: the offer waits for
 * its candidates, though not long, since those of this machine come first.
 *
 * @param {RTCPeerConnection} peer  With its transceiver and data channel already made.
 * @param {Request} request
 * @param {AbortSignal} signal
 */
export async function negotiate(peer, request, signal) {
  try {
    await peer.setLocalDescription();
  } catch (error) {
    throw new Problem('browser-failed', { cause: error });
  }
  await candidatesGathered(peer, signal);
  const { sdp, type } = /** @type {RTCSessionDescription} */ (peer.localDescription);
  const answer = await post({ sdp, type, ...request }, signal);
  signal.throwIfAborted();
  try {
    await peer.setRemoteDescription(answer);
  } catch (error) {
    throw new Problem('browser-failed', { detail: String(error), cause: error });
  }
}

/**
 * @param {RTCPeerConnection} peer
 * @param {AbortSignal} signal
 * @returns {Promise<void>}
 */
function candidatesGathered(peer, signal) {
  return new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer);
      peer.removeEventListener('icegatheringstatechange', check);
      signal.removeEventListener('abort', done);
      resolve();
    };
    const check = () => {
      if (peer.iceGatheringState === 'complete') done();
    };
    const timer = setTimeout(done, GATHERING_LIMIT_MS);
    peer.addEventListener('icegatheringstatechange', check);
    signal.addEventListener('abort', done);
    check();
  });
}

/**
 * @param {{sdp: string, type: string} & Request} offer
 * @param {AbortSignal} signal
 * @returns {Promise<RTCSessionDescriptionInit>}
 */
async function post(offer, signal) {
  signal.throwIfAborted();
  const abandon = new AbortController();
  const onAbort = () => abandon.abort();
  const timer = setTimeout(onAbort, ANSWER_LIMIT_MS);
  signal.addEventListener('abort', onAbort);
  try {
    const response = await fetch('/offer', {
      method: 'POST',
      headers: { 'Content-Type': 'application/json' },
      body: JSON.stringify(offer),
      signal: abandon.signal,
    });
    if (!response.ok) throw await refusal(response);
    return await readAnswer(response);
  } catch (error) {
    if (error instanceof Problem) throw error;
    throw new Problem('server-gone', { cause: error });
  } finally {
    clearTimeout(timer);
    signal.removeEventListener('abort', onAbort);
  }
}

/**
 * @param {Response} response
 * @returns {Promise<RTCSessionDescriptionInit>}
 */
async function readAnswer(response) {
  const answer = await jsonOrNull(response);
  if (typeof answer?.sdp !== 'string' || answer.type !== 'answer') {
    throw new Problem('server-failed', { detail: 'Its answer holds no session description.' });
  }
  return { sdp: answer.sdp, type: 'answer' };
}

/**
 * @param {Response} response
 * @returns {Promise<Problem>}
 */
async function refusal(response) {
  const body = await jsonOrNull(response);
  const { code, message } = body?.error ?? {};
  const detail = typeof message === 'string' ? message : `HTTP status ${response.status}`;
  const retryAfterS = retryAfterSeconds(response.headers.get('Retry-After'));
  if (code === 'not-available') return new Problem('not-available', { detail });
  switch (response.status) {
    case 401:
      return new Problem('logged-out', { detail });
    case 403:
      if (code === 'not-allowed') return new Problem('not-allowed', { detail });
      break;
    case 404:
      return new Problem('feed-unknown', { detail });
    case 409:
      return new Problem('name-taken', { detail });
    case 429:
      return new Problem('too-many', { detail, retryAfterS });
    case 503:
      return new Problem('server-full', { detail, retryAfterS });
  }
  if (response.status >= 500) return new Problem('server-failed', { detail, retryAfterS });
  return new Problem('offer-refused', { detail });
}

/** @param {Response} response */
async function jsonOrNull(response) {
  const text = await response.text();
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
