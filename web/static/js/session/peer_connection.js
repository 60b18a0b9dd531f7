// @ts-check
/** One peer connection to the server, from the offer to its loss. */

import { negotiate } from './offer.js';
import { Problem } from './problems.js';
import { readMessage } from './protocol.js';

/** @typedef {import('./protocol.js').ServerMessage} ServerMessage */
/** @typedef {import('./inputs.js').Feed} Feed */
/** @typedef {import('./inputs.js').Request} Request */
/**
 * @typedef {object} ConnectionListener
 * @property {(message: ServerMessage) => void} onMessage
 * @property {(stream: MediaStream) => void} onVideo
 */

const BEAT_MS = 1_000;
const BEATS_A_PING = 2;
const SILENCE_LIMIT_MS = 8_000;
const FIRST_MESSAGE_LIMIT_MS = 10_000;
/** Timers that stood still for longer than this mean that the device slept. */
const SLEEP_MS = 5_000;
/** After a sleep the server gets this long to show that it still knows us. */
const GRACE_AFTER_SLEEP_MS = 3_000;
/** Larger pictures are scaled down before they are sent; the captioner sees 260 pixels. */
const LONGEST_SIDE = 1280;
const MOST_BITS_PER_SECOND = 2_500_000;

export class Connection {
  #peer;
  #channel;
  #listener;
  /** @type {(problem: Problem) => void} */
  #settle = () => {};
  /** Time of the last message; the clock of the wall, for it goes on while the device sleeps. */
  #lastMessage = Date.now();
  #lastBeat = Date.now();
  #beats = 0;
  #greeted = false;
  #slept = false;
  /** @type {Map<number, number>} */
  #pings = new Map();
  #roundTripMs = 0;
  /** @type {ReturnType<typeof setInterval> | undefined} */
  #heart;

  /**
   * Resolves when the connection is gone, with the reason.
   *
   * @type {Promise<Problem>}
   */
  lost = new Promise((resolve) => (this.#settle = resolve));

  /**
   * @param {Feed} feed
   * @param {RTCIceServer[]} iceServers
   * @param {ConnectionListener} listener
   */
  constructor(feed, iceServers, listener) {
    this.#listener = listener;
    const peer = newPeer(iceServers);
    this.#peer = peer;
    this.#channel = peer.createDataChannel('captions', { ordered: true });
    this.#channel.onmessage = (event) => this.#receive(event.data);
    this.#channel.onclose = () => this.#lose('server-lost');
    peer.onconnectionstatechange = () => {
      if (peer.connectionState === 'failed') {
        this.#lose(this.#greeted ? 'server-lost' : 'no-path');
      }
    };
    peer.ontrack = ({ track, streams }) => listener.onVideo(streams[0] ?? new MediaStream([track]));
    addVideo(peer, feed);
  }

  /**
   * @param {Request} request
   * @param {AbortSignal} signal
   */
  async open(request, signal) {
    await negotiate(this.#peer, request, signal);
    this.#lastMessage = this.#lastBeat = Date.now();
    this.#heart = setInterval(() => this.#beat(), BEAT_MS);
  }

  /** Half the time that a ping takes to come back: how old a message is when it arrives. */
  get delayMs() {
    return this.#roundTripMs / 2;
  }

  /**
   * @param {object} message  `type` first.
   * @returns {boolean}  Whether it could be sent.
   */
  send(message) {
    if (this.#channel.readyState !== 'open') return false;
    this.#channel.send(JSON.stringify(message));
    return true;
  }

  close() {
    clearInterval(this.#heart);
    this.#channel.onclose = this.#channel.onmessage = null;
    this.#peer.onconnectionstatechange = this.#peer.ontrack = null;
    this.#peer.close();
  }

  /** @param {unknown} data */
  #receive(data) {
    this.#lastMessage = Date.now();
    this.#slept = false;
    const message = readMessage(data);
    if (message === null) return;
    if (message.type === 'hello') this.#greeted = true;
    if (message.type === 'pong') this.#measure(message.id);
    else this.#listener.onMessage(message);
  }

  /** @param {number} id */
  #measure(id) {
    const sent = this.#pings.get(id);
    if (sent !== undefined) this.#roundTripMs = performance.now() - sent;
    this.#pings.clear();
  }

  #beat() {
    const now = Date.now();
    if (now - this.#lastBeat > SLEEP_MS) {
      this.#slept = true;
      this.#lastMessage = Math.max(
        this.#lastMessage,
        now - SILENCE_LIMIT_MS + GRACE_AFTER_SLEEP_MS,
      );
    }
    this.#lastBeat = now;
    const limit = this.#greeted ? SILENCE_LIMIT_MS : FIRST_MESSAGE_LIMIT_MS;
    if (now - this.#lastMessage > limit) {
      this.#lose(this.#slept ? 'device-slept' : this.#greeted ? 'server-lost' : 'no-path');
    } else if (this.#slept || this.#beats % BEATS_A_PING === 0) {
      this.#pings.set(this.#beats, performance.now());
      this.send({ type: 'ping', id: this.#beats });
    }
    this.#beats += 1;
  }

  /** @param {string} code */
  #lose(code) {
    this.close();
    this.#settle(new Problem(code));
  }
}

/** @returns {boolean} */
export function canConnect() {
  return (
    typeof RTCPeerConnection === 'function' && 'createDataChannel' in RTCPeerConnection.prototype
  );
}

/** @param {RTCIceServer[]} iceServers */
function newPeer(iceServers) {
  try {
    return new RTCPeerConnection({ iceServers });
  } catch (error) {
    throw new Problem('no-webrtc', { cause: error });
  }
}

/**
 * @param {RTCPeerConnection} peer
 * @param {Feed} feed
 */
function addVideo(peer, feed) {
  const transceiver = feed.track
    ? peer.addTransceiver(feed.track, {
        direction: 'sendrecv',
        sendEncodings: [
          {
            maxBitrate: MOST_BITS_PER_SECOND,
            scaleResolutionDownBy: Math.max(1, feed.longestSide / LONGEST_SIDE),
          },
        ],
      })
    : peer.addTransceiver('video', { direction: 'recvonly' });
  preferVp8(transceiver);
}

/**
 * Asks for VP8 first: the server encodes every returned picture, and VP8 costs it a quarter of
 * what H.264 does.
 *
 * @param {RTCRtpTransceiver} transceiver
 */
function preferVp8(transceiver) {
  const codecs = globalThis.RTCRtpReceiver?.getCapabilities?.('video')?.codecs;
  if (!codecs || !transceiver.setCodecPreferences) return;
  const isVp8 = (/** @type {{mimeType: string}} */ codec) =>
    codec.mimeType.toLowerCase() === 'video/vp8';
  transceiver.setCodecPreferences([
    ...codecs.filter(isVp8),
    ...codecs.filter((codec) => !isVp8(codec)),
  ]);
}
