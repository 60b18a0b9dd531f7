// @ts-check
/** The ICE servers that this server wants its clients to use: none, unless it is set so. */

import { list, object, text, texts } from './json.js';
import { getJson } from './json_request.js';

const ADDRESS = /^(stun|stuns|turn|turns):/;

/**
 * @param {AbortSignal} signal
 * @returns {Promise<RTCIceServer[]>}  Empty if it cannot be told: a direct way may do.
 */
export async function iceServers(signal) {
  try {
    const { ice_servers } = await getJson('/api/ice', signal);
    return list(ice_servers).flatMap(readServer);
  } catch {
    signal.throwIfAborted();
    return [];
  }
}

/** @param {unknown} value @returns {RTCIceServer[]}  One, or none when it is malformed. */
function readServer(value) {
  const { urls, username, credential } = object(value);
  const addresses = [text(urls), ...texts(urls)].filter((address) => ADDRESS.test(address));
  if (addresses.length === 0) return [];
  if (typeof username !== 'string' || typeof credential !== 'string') return [{ urls: addresses }];
  return [{ urls: addresses, username, credential }];
}
