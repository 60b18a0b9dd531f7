// @ts-check
/** A session: keeps one input connected to the server, and reconnects until it is stopped. */

import { retryDelay } from '../common/http.js';
import { PeerConnection } from './peer_connection.js';
import { Problem, problemFrom } from './problems.js';
import { fetchIceServers } from './signaling.js';

/** @typedef {import('./inputs.js').Input} Input */
/** @typedef {import('./messages.js').ServerMessage} ServerMessage */
/** @typedef {import('./problems.js').ProblemCode} ProblemCode */
/**
 * @typedef {object} SessionListener
 * @property {(step: 'input' | 'server') => void} [onConnecting]  What it is waiting for.
 * @property {(track: MediaStreamTrack | null) => void} [onInput]  The video that is sent.
 * @property {() => void} [onLive]
 * @property {(problem: Problem, retryAt: number) => void} onReconnecting
 *   `retryAt` on the clock of `performance.now()`.
 * @property {(problem: Problem) => void} onProblem  The session has ended.
 * @property {(message: ServerMessage) => void} onMessage
 * @property {(stream: MediaStream) => void} onVideo
 */

/** Error codes with which the server ends the session. */
const ENDING_CODES = /** @type {const} */ (['session-ended', 'source-ended', 'server-stopping']);
/** A connection that lasted this long resets the retry delay. */
const STABLE_MS = 10_000;

export class Session {
  #listener;
  #stopped = new AbortController();
  /** @type {PeerConnection | null} */
  #connection = null;
  #failures = 0;
  #liveSince = 0;
  /** The name that the session was published under; empty for none. */
  #publishedName = '';
  /** @type {() => void} */
  #endDelay = () => {};
  /** @type {(problem: Problem) => void} */
  #endAttempt = () => {};

  /**
   * @param {Input} input
   * @param {SessionListener} listener
   */
  constructor(input, listener) {
    this.input = input;
    this.#listener = listener;
  }

  /** The age of a message when it arrives, in milliseconds. */
  get delayMs() {
    return this.#connection?.delayMs ?? 0;
  }

  /** Runs until the session is stopped, or ends with a problem that a retry cannot solve. */
  async run() {
    const signal = this.#stopped.signal;
    while (!signal.aborted) {
      const problem = await this.#attempt(signal).catch(problemFrom);
      this.#connection?.close();
      this.#connection = null;
      if (signal.aborted) break;
      if (problem.code === 'renewed') continue;
      if (!problem.retries && !this.#isOwnName(problem)) {
        this.stop();
        this.#listener.onProblem(problem);
        return;
      }
      await this.#delay(problem);
    }
  }

  /** Ends the session and releases the input. */
  stop() {
    this.#stopped.abort();
    this.#endDelay();
    this.#endAttempt(new Problem('session-ended'));
    this.#connection?.close();
    this.#connection = null;
    this.input.close();
  }

  /** Reconnects with the input's current request; the input stays open. */
  reconnect() {
    this.#endAttempt(new Problem('renewed'));
    this.#endDelay();
  }

  /** Ends the delay between two attempts. */
  retryNow() {
    this.#endDelay();
  }

  /**
   * @param {object} message
   * @returns {boolean}  Whether the data channel was open.
   */
  send(message) {
    return this.#connection?.send(message) ?? false;
  }

  /**
   * Runs one connection from its beginning to its end.
   *
   * @param {AbortSignal} signal
   * @returns {Promise<Problem>}  Why it ended.
   */
  async #attempt(signal) {
    this.#listener.onConnecting?.('input');
    const video = await this.input.open(signal);
    signal.throwIfAborted();
    this.#listener.onInput?.(video.track);
    this.#listener.onConnecting?.('server');
    const iceServers = await fetchIceServers(signal);
    const connection = new PeerConnection(video, iceServers, {
      onMessage: (message) => this.#receive(message),
      onVideo: (stream) => this.#listener.onVideo(stream),
    });
    this.#connection = connection;
    const ended = /** @type {Promise<Problem>} */ (
      new Promise((resolve) => (this.#endAttempt = resolve))
    );
    await connection.open(this.input.request, signal);
    return Promise.race([connection.lost, this.input.ended, ended]);
  }

  /** @param {ServerMessage} message */
  #receive(message) {
    if (message.type === 'hello') {
      this.#liveSince = performance.now();
      this.#publishedName = this.input.request.publish ?? '';
      this.#listener.onLive?.();
    }
    if (message.type === 'error') {
      const code = ENDING_CODES.find((ending) => ending === message.code);
      if (code) {
        this.#endAttempt(new Problem(this.#problemCode(code), { detail: message.message }));
        return;
      }
    }
    this.#listener.onMessage(message);
  }

  /** @param {typeof ENDING_CODES[number]} code @returns {ProblemCode} */
  #problemCode(code) {
    return code === 'source-ended' && this.input.kind === 'feed' ? 'feed-interrupted' : code;
  }

  /**
   * Returns whether the name is taken by this session itself: the server has not noticed yet that
   * the previous connection was lost.
   *
   * @param {Problem} problem
   */
  #isOwnName({ code }) {
    return code === 'name-taken' && this.#publishedName === this.input.request.publish;
  }

  /** Waits before the next attempt. @param {Problem} problem */
  async #delay(problem) {
    const wasStable = this.#liveSince > 0 && performance.now() - this.#liveSince > STABLE_MS;
    this.#failures = wasStable ? 1 : this.#failures + 1;
    this.#liveSince = 0;
    const delayMs = 1000 * retryDelay(this.#failures, problem.retryAfterS);
    this.#listener.onReconnecting(problem, performance.now() + delayMs);
    await new Promise((resolve) => {
      const timer = setTimeout(resolve, delayMs);
      this.#endDelay = () => {
        clearTimeout(timer);
        resolve(undefined);
      };
    });
  }
}
