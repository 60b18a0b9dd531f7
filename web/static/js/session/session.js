// @ts-check
/** Keeps one input connected to the server until it is stopped: attempts, losses, pauses. */

import { pauseAfter, requestedPause } from './backoff.js';
import { Connection } from './connection.js';
import { iceServers } from './ice.js';
import { Problem, problemFrom } from './problems.js';

/** @typedef {import('./inputs.js').Input} Input */
/** @typedef {import('./protocol.js').ServerMessage} ServerMessage */
/**
 * @typedef {object} SessionListener
 * @property {(step: 'input' | 'server') => void} onConnecting  What is being waited for.
 * @property {() => void} onLive
 * @property {(problem: Problem, retryAt: number) => void} onReconnecting
 *   `retryAt` in milliseconds of the wall clock.
 * @property {(problem: Problem) => void} onProblem  The session has ended by itself.
 * @property {(message: ServerMessage) => void} onMessage
 * @property {(stream: MediaStream) => void} onVideo
 */

/** Errors after which the server ends the session. */
const ENDINGS = ['session-ended', 'source-ended', 'server-stopping'];
/** A connection that lived this long is counted as a success. */
const STEADY_MS = 10_000;

export class Session {
  #listener;
  #stopped = new AbortController();
  /** @type {Connection | null} */
  #connection = null;
  #failures = 0;
  #liveSince = 0;
  /** The name under which others could watch so far; empty for none. */
  #published = '';
  /** @type {() => void} */
  #endPause = () => {};
  /** @type {(problem: Problem) => void} */
  #end = () => {};

  /**
   * @param {Input} input
   * @param {SessionListener} listener
   */
  constructor(input, listener) {
    this.input = input;
    this.#listener = listener;
  }

  /** Half the round trip to the server, in milliseconds. */
  get delayMs() {
    return this.#connection?.delayMs ?? 0;
  }

  /** Runs until the session is stopped or ends by a problem that no attempt can mend. */
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
      await this.#pause(problem);
    }
  }

  /** Ends the session and releases the input. */
  stop() {
    this.#stopped.abort();
    this.#endPause();
    this.#end(new Problem('session-ended'));
    this.#connection?.close();
    this.#connection = null;
    this.input.close();
  }

  /** Connects anew, with what the input asks for now; the input stays open. */
  renew() {
    this.#end(new Problem('renewed'));
    this.#endPause();
  }

  /** Ends the pause between two attempts. */
  tryNow() {
    this.#endPause();
  }

  /**
   * @param {object} message
   * @returns {boolean}  Whether it could be sent.
   */
  send(message) {
    return this.#connection?.send(message) ?? false;
  }

  /**
   * One connection from its beginning to its end.
   *
   * @param {AbortSignal} signal
   * @returns {Promise<Problem>}  Why it ended.
   */
  async #attempt(signal) {
    this.#listener.onConnecting('input');
    const feed = await this.input.open(signal);
    signal.throwIfAborted();
    this.#listener.onConnecting('server');
    const servers = await iceServers(signal);
    const connection = new Connection(feed, servers, {
      onMessage: (message) => this.#receive(message),
      onVideo: (stream) => this.#listener.onVideo(stream),
    });
    this.#connection = connection;
    const ended = /** @type {Promise<Problem>} */ (new Promise((resolve) => (this.#end = resolve)));
    await connection.open(this.input.request, signal);
    return Promise.race([connection.lost, this.input.ended, ended]);
  }

  /** @param {ServerMessage} message */
  #receive(message) {
    if (message.type === 'hello') {
      this.#liveSince = Date.now();
      this.#published = this.input.request.publish ?? '';
      this.#listener.onLive();
    }
    if (message.type === 'error') {
      if (ENDINGS.includes(message.code)) {
        this.#end(new Problem(this.#endingOf(message.code), { detail: message.message }));
        return;
      }
    }
    this.#listener.onMessage(message);
  }

  /** @param {string} code  One of the endings. */
  #endingOf(code) {
    const mayGoOn = code === 'source-ended' && this.input.kind === 'feed';
    return mayGoOn ? 'feed-interrupted' : code;
  }

  /**
   * Whether the name is taken by this very session, whose loss the server has not noticed yet.
   *
   * @param {Problem} problem
   */
  #isOwnName({ code }) {
    return code === 'name-taken' && this.#published === this.input.request.publish;
  }

  /** @param {Problem} problem */
  async #pause(problem) {
    const steady = this.#liveSince > 0 && Date.now() - this.#liveSince > STEADY_MS;
    this.#failures = steady ? 1 : this.#failures + 1;
    this.#liveSince = 0;
    const seconds =
      problem.retryAfterS === undefined
        ? pauseAfter(this.#failures)
        : requestedPause(problem.retryAfterS);
    this.#listener.onReconnecting(problem, Date.now() + seconds * 1000);
    await new Promise((resolve) => {
      const timer = setTimeout(resolve, seconds * 1000);
      this.#endPause = () => {
        clearTimeout(timer);
        resolve(undefined);
      };
    });
  }
}
