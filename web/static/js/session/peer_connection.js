// @ts-check
/** One WebRTC connection to the server: video both ways, and the data channel of the messages. */

import { readMessage } from './messages.js';
import { Problem } from './problems.js';
import { negotiate } from './signaling.js';

/** @typedef {import('./messages.js').ServerMessage} ServerMessage */
/** @typedef {import('./inputs.js').InputVideo} InputVideo */
/** @typedef {import('./inputs.js').SourceRequest} SourceRequest */
/** @typedef {import('./problems.js').ProblemCode} ProblemCode */
/**
 * @typedef {object} ConnectionListener
 * @property {(message: ServerMessage) => void} onMessage
 * @property {(stream: MediaStream) => void} onVideo
 */

const HEARTBEAT_MS = 1_000;
const HEARTBEATS_PER_PING = 2;
const SILENCE_TIMEOUT_MS = 8_000;
const FIRST_MESSAGE_TIMEOUT_MS = 10_000;
/** A heartbeat that is late by more than this means that the device was asleep. */
const SLEEP_MS = 5_000;
/** Time for the server to send something after the device has woken up. */
const WAKE_UP_TIMEOUT_MS = 3_000;
/** Larger video is scaled down before it is sent; the captioner takes 260 x 260 pixels. */
const MAX_SIDE = 1280;
const MAX_BITRATE = 2_500_000;

export class PeerConnection {
  #peer;
  #channel;
  #listener;
  /** @type {(problem: Problem) => void} */
  #resolveLost = () => {};
  /** Wall-clock time of the last message: unlike other clocks it runs while the device sleeps. */
  #lastMessage = Date.now();
  #lastHeartbeat = Date.now();
  #heartbeats = 0;
  #hasHello = false;
  #wasAsleep = false;
  /** Aborted with the reason when the connection is lost. */
  #loss = new AbortController();
  /** When each ping was sent. @type {Map<number, number>} */
  #pings = new Map();
  #roundTripMs = 0;
  /** @type {ReturnType<typeof setInterval> | undefined} */
  #heartbeatTimer;

  /**
   * Resolves when the connection is lost, with the reason.
   *
   * @type {Promise<Problem>}
   */
  lost = new Promise((resolve) => (this.#resolveLost = resolve));

  /**
   * @param {InputVideo} video
   * @param {RTCIceServer[]} iceServers
   * @param {ConnectionListener} listener
   */
  constructor(video, iceServers, listener) {
    this.#listener = listener;
    const peer = createPeer(iceServers);
    this.#peer = peer;
    this.#channel = peer.createDataChannel('captions', { ordered: true });
    this.#channel.onmessage = (event) => this.#receive(event.data);
    this.#channel.onclose = () => this.#lose('server-lost');
    peer.onconnectionstatechange = () => {
      if (peer.connectionState === 'failed') this.#lose(this.#failure());
    };
    peer.ontrack = ({ track, streams }) => listener.onVideo(streams[0] ?? new MediaStream([track]));
    addVideo(peer, video);
  }

  /**
   * @param {SourceRequest} request
   * @param {AbortSignal} signal
   * @throws {Problem}
   */
  async open(request, signal) {
    // Without any address of its own, the connection may fail before the server answers.
    await negotiate(this.#peer, request, AbortSignal.any([signal, this.#loss.signal]));
    this.#lastMessage = this.#lastHeartbeat = Date.now();
    this.#heartbeatTimer = setInterval(() => this.#heartbeat(), HEARTBEAT_MS);
  }

  /** The age of a message when it arrives: half the round trip time. */
  get delayMs() {
    return this.#roundTripMs / 2;
  }

  /**
   * @param {object} message  `type` first.
   * @returns {boolean}  Whether the data channel was open.
   */
  send(message) {
    if (this.#channel.readyState !== 'open') return false;
    this.#channel.send(JSON.stringify(message));
    return true;
  }

  close() {
    clearInterval(this.#heartbeatTimer);
    this.#channel.onclose = this.#channel.onmessage = null;
    this.#peer.onconnectionstatechange = this.#peer.ontrack = null;
    this.#peer.close();
  }

  /** @param {unknown} data */
  #receive(data) {
    this.#lastMessage = Date.now();
    this.#wasAsleep = false;
    const message = readMessage(data);
    if (message === null) return;
    if (message.type === 'hello') this.#hasHello = true;
    if (message.type === 'pong') this.#measureRoundTrip(message.id);
    else this.#listener.onMessage(message);
  }

  /** @param {number} id */
  #measureRoundTrip(id) {
    const sent = this.#pings.get(id);
    if (sent !== undefined) this.#roundTripMs = performance.now() - sent;
    this.#pings.clear();
  }

  #heartbeat() {
    const now = Date.now();
    if (now - this.#lastHeartbeat > SLEEP_MS) {
      this.#wasAsleep = true;
      this.#lastMessage = Math.max(
        this.#lastMessage,
        now - SILENCE_TIMEOUT_MS + WAKE_UP_TIMEOUT_MS,
      );
    }
    this.#lastHeartbeat = now;
    // The clock may have been set back.
    this.#lastMessage = Math.min(this.#lastMessage, now);
    const timeout = this.#hasHello ? SILENCE_TIMEOUT_MS : FIRST_MESSAGE_TIMEOUT_MS;
    if (now - this.#lastMessage > timeout) {
      this.#lose(this.#wasAsleep ? 'device-slept' : this.#failure());
    } else if (this.#wasAsleep || this.#heartbeats % HEARTBEATS_PER_PING === 0) {
      this.#pings.set(this.#heartbeats, performance.now());
      this.send({ type: 'ping', id: this.#heartbeats });
    }
    this.#heartbeats += 1;
  }

  /** Returns why nothing arrives. @returns {ProblemCode} */
  #failure() {
    if (this.#hasHello) return 'server-lost';
    return /^a=candidate:/m.test(this.#peer.localDescription?.sdp ?? '') ? 'no-path' : 'no-address';
  }

  /** @param {ProblemCode} code */
  #lose(code) {
    const problem = new Problem(code);
    this.close();
    this.#loss.abort(problem);
    this.#resolveLost(problem);
  }
}

export function isWebRtcSupported() {
  return (
    typeof RTCPeerConnection === 'function' && 'createDataChannel' in RTCPeerConnection.prototype
  );
}

/** @param {RTCIceServer[]} iceServers */
function createPeer(iceServers) {
  try {
    return new RTCPeerConnection({ iceServers });
  } catch (error) {
    throw new Problem('no-webrtc', { cause: error });
  }
}

/**
 * @param {RTCPeerConnection} peer
 * @param {InputVideo} video
 */
function addVideo(peer, { track, longestSide }) {
  const transceiver = track
    ? peer.addTransceiver(track, {
        direction: 'sendrecv',
        sendEncodings: [
          {
            maxBitrate: MAX_BITRATE,
            scaleResolutionDownBy: Math.max(1, longestSide / MAX_SIDE),
          },
        ],
      })
    : peer.addTransceiver('video', { direction: 'recvonly' });
  preferVp8(transceiver);
}

/**
 * Puts VP8 first: the server encodes every frame that it returns, and VP8 takes a quarter of the
 * time of H.264.
 *
 * @param {RTCRtpTransceiver} transceiver
 */
function preferVp8(transceiver) {
  const codecs = globalThis.RTCRtpReceiver?.getCapabilities?.('video')?.codecs;
  if (!codecs || !('setCodecPreferences' in transceiver)) return;
  const isVp8 = (/** @type {{mimeType: string}} */ codec) =>
    codec.mimeType.toLowerCase() === 'video/vp8';
  transceiver.setCodecPreferences([
    ...codecs.filter(isVp8),
    ...codecs.filter((codec) => !isVp8(codec)),
  ]);
}
