// @ts-check
/** Signaling over HTTP: the server's ICE servers, and the exchange of offer and answer. */

import { getJson, parseRetryAfter } from '../common/http.js';
import { asArray, asObject, asString, asStrings, parseJson } from '../common/json.js';
import { Problem } from './problems.js';

/** @typedef {import('./inputs.js').SourceRequest} SourceRequest */

const GATHERING_TIMEOUT_MS = 2_000;
const ANSWER_TIMEOUT_MS = 10_000;
/** Between two reloads of the page, in milliseconds. */
const RELOAD_INTERVAL_MS = 60_000;
const RELOADED_AT = 'sightline.reloadedAt';
const ICE_URL = /^(stun|stuns|turn|turns):/;

/**
 * Reloads the page if its policy forbids a request: it is older than a server of the cluster that a
 * feed has moved to.
 */
document.addEventListener('securitypolicyviolation', ({ effectiveDirective }) => {
  if (effectiveDirective !== 'connect-src') return;
  const last = Number(sessionStorage.getItem(RELOADED_AT));
  if (Date.now() - last < RELOAD_INTERVAL_MS) return;
  sessionStorage.setItem(RELOADED_AT, String(Date.now()));
  location.reload();
});

/**
 * @param {AbortSignal} signal
 * @returns {Promise<RTCIceServer[]>}  Empty if the request fails: a direct connection may work.
 */
export async function fetchIceServers(signal) {
  try {
    const { ice_servers } = await getJson('api/ice', signal);
    return asArray(ice_servers).flatMap(readIceServer);
  } catch {
    signal.throwIfAborted();
    return [];
  }
}

/** @param {unknown} value @returns {RTCIceServer[]}  One, or none if it is malformed. */
function readIceServer(value) {
  const { urls, username, credential } = asObject(value);
  const valid = [asString(urls), ...asStrings(urls)].filter((url) => ICE_URL.test(url));
  if (valid.length === 0) return [];
  if (typeof username !== 'string' || typeof credential !== 'string') return [{ urls: valid }];
  return [{ urls: valid, username, credential }];
}

/**
 * Creates an offer, posts it, and applies the answer. The offer waits for its ICE candidates (no
 * trickle ICE), but not for long: host candidates come first.
 *
 * @param {RTCPeerConnection} peer  With its transceiver and data channel.
 * @param {SourceRequest} request
 * @param {AbortSignal} signal
 * @throws {Problem}
 */
export async function negotiate(peer, request, signal) {
  try {
    await peer.setLocalDescription();
  } catch (error) {
    signal.throwIfAborted();
    throw new Problem('browser-failed', { cause: error });
  }
  await candidatesGathered(peer, signal);
  signal.throwIfAborted();
  const { sdp, type } = /** @type {RTCSessionDescription} */ (peer.localDescription);
  const answer = await postOffer({ sdp, type, ...request }, signal);
  signal.throwIfAborted();
  try {
    await peer.setRemoteDescription(answer);
  } catch (error) {
    signal.throwIfAborted();
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
    const timer = setTimeout(done, GATHERING_TIMEOUT_MS);
    peer.addEventListener('icegatheringstatechange', check);
    signal.addEventListener('abort', done);
    check();
  });
}

/**
 * @param {{sdp: string, type: string} & SourceRequest} offer
 * @param {AbortSignal} signal
 * @returns {Promise<RTCSessionDescriptionInit>}
 */
async function postOffer(offer, signal) {
  signal.throwIfAborted();
  try {
    const response = await fetch('offer', {
      method: 'POST',
      headers: { 'Content-Type': 'application/json' },
      body: JSON.stringify(offer),
      signal: AbortSignal.any([signal, AbortSignal.timeout(ANSWER_TIMEOUT_MS)]),
    });
    const body = asObject(parseJson(await response.text()));
    if (!response.ok) throw offerProblem(response, body.error);
    if (typeof body.sdp !== 'string' || body.type !== 'answer') {
      throw new Problem('server-failed', { detail: 'Its response has no session description.' });
    }
    return { sdp: body.sdp, type: 'answer' };
  } catch (error) {
    if (error instanceof Problem) throw error;
    throw new Problem('server-gone', { cause: error });
  }
}

/**
 * @param {Response} response
 * @param {unknown} error  Of the response's body.
 * @returns {Problem}
 */
function offerProblem(response, error) {
  const { code, message } = asObject(error);
  const detail = asString(message) || `HTTP status ${response.status}`;
  const retryAfterS = parseRetryAfter(response.headers.get('Retry-After'));
  if (code === 'feed-moving') return new Problem('feed-interrupted', { detail, retryAfterS });
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
