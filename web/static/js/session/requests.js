// @ts-check
/** Requests over the data channel, each matched to its response by an id. */

import { gettext } from '../common/i18n.js';
import { serverNode } from './server_texts.js';

/** @typedef {import('./explanation_messages.js').AnalysisKind} AnalysisKind */
/** @typedef {import('./explanation_messages.js').Checked} Checked */
/** @typedef {import('./explanation_messages.js').Explanation} Explanation */
/** @typedef {import('./explanation_messages.js').Progress} Progress */
/** @typedef {import('./explanation_messages.js').Result} Result */
/** @typedef {import('./explanation_messages.js').Target} Target */
/** @typedef {import('./messages.js').ServerMessage} ServerMessage */
/** @typedef {Explanation | Checked | Result} ResponseMessage */
/**
 * @typedef {object} PendingRequest
 * @property {object | null} unsent  The message, until it is sent.
 * @property {(response: ResponseMessage) => void} resolve
 * @property {(error: RequestError) => void} reject
 * @property {(progress: Progress) => void} onProgress
 * @property {ReturnType<typeof setTimeout>} [timeout]
 */

/** A request fails when the server sends neither progress nor a response for this long. */
const TIMEOUT_MS = 30_000;
/** Between two requests: the server limits the rate of messages. */
const MIN_GAP_MS = 150;

/** @type {Record<string, string>} */
const ERROR_TEXTS = {
  busy: gettext('The captioner is busy with other requests.'),
  'captioner-paused': gettext('Captions are paused and will resume automatically.'),
  gone: gettext('The server no longer has this frame.'),
  unconnected: gettext('Not connected.'),
  silent: gettext('The server did not respond.'),
  cancelled: gettext('Cancelled.'),
};
const PERMANENT_ERRORS = new Set(['gone', 'unconnected', 'cannot-explain']);

/** A request that failed. */
export class RequestError extends Error {
  /**
   * @param {string} code  One of the protocol's; or `unconnected`, `silent` or `cancelled`.
   * @param {string} [message]  The server's.
   */
  constructor(code, message = '') {
    super(message);
    this.name = 'RequestError';
    this.code = code;
  }
}

/**
 * @param {unknown} error
 * @returns {{text: Node | string, canRetry: boolean}}  What to show the user.
 */
export function requestErrorText(error) {
  if (!(error instanceof RequestError)) throw error;
  const { code, message } = error;
  const failed = message === '' ? gettext('The request failed.') : serverNode(message);
  const text = ERROR_TEXTS[code] ?? failed;
  return { text, canRetry: !PERMANENT_ERRORS.has(code) };
}

/** Sends requests one at a time, and resolves or rejects each by its response. */
export class Requests {
  #send;
  #nextId = 0;
  /** @type {Map<number, PendingRequest>} */
  #pending = new Map();
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #gap;

  /** @param {(message: object) => boolean} send  Returns whether the data channel was open. */
  constructor(send) {
    this.#send = send;
  }

  /**
   * @param {{seq: number, method: string, of: Target}} params
   * @param {AbortSignal} signal
   * @param {(progress: Progress) => void} [onProgress]
   * @returns {Promise<Explanation>}  Rejects with a RequestError.
   */
  async explain(params, signal, onProgress) {
    const response = await this.#request('explain', params, signal, onProgress);
    return expectType(response, 'explanation');
  }

  /**
   * @param {{seq: number, method: string, index: number}} params
   * @param {AbortSignal} signal
   * @param {(progress: Progress) => void} [onProgress]
   * @returns {Promise<Checked>}  Rejects with a RequestError.
   */
  async check(params, signal, onProgress) {
    return expectType(await this.#request('check', params, signal, onProgress), 'checked');
  }

  /**
   * @param {{seq: number, kind: AnalysisKind, params: object}} params
   * @param {AbortSignal} signal
   * @param {(progress: Progress) => void} onProgress
   * @returns {Promise<Result>}  Rejects with a RequestError.
   */
  async analyze(params, signal, onProgress) {
    return expectType(await this.#request('analyze', params, signal, onProgress), 'result');
  }

  /**
   * @param {ServerMessage} message
   * @returns {boolean}  Whether it was a response, progress or an error of a request.
   */
  receive(message) {
    if (!('id' in message) || message.id === null || message.type === 'pong') return false;
    const pending = this.#pending.get(message.id);
    if (!pending) return true;
    if (message.type === 'progress') {
      clearTimeout(pending.timeout);
      pending.timeout = this.#startTimeout(message.id);
      pending.onProgress(message);
      return true;
    }
    this.#remove(message.id);
    if (message.type === 'error') pending.reject(new RequestError(message.code, message.message));
    else pending.resolve(message);
    return true;
  }

  /** Rejects all requests, after the connection was lost. */
  rejectAll() {
    for (const id of [...this.#pending.keys()]) this.#reject(id, 'unconnected');
  }

  /**
   * @param {'explain' | 'check' | 'analyze'} type
   * @param {object} params
   * @param {AbortSignal} signal
   * @param {(progress: Progress) => void} [onProgress]
   * @returns {Promise<ResponseMessage>}
   */
  #request(type, params, signal, onProgress = () => {}) {
    const id = this.#nextId++;
    return new Promise((resolve, reject) => {
      if (signal.aborted) {
        reject(new RequestError('cancelled'));
        return;
      }
      const unsent = { type, id, ...params };
      this.#pending.set(id, { unsent, resolve, reject, onProgress });
      signal.addEventListener('abort', () => this.#cancel(id));
      this.#sendNext();
    });
  }

  /** Sends the oldest unsent request, unless the last one was sent just now. */
  #sendNext() {
    if (this.#gap !== undefined) return;
    for (const [id, pending] of this.#pending) {
      if (pending.unsent === null) continue;
      const message = pending.unsent;
      pending.unsent = null;
      pending.timeout = this.#startTimeout(id);
      this.#gap = setTimeout(() => {
        this.#gap = undefined;
        this.#sendNext();
      }, MIN_GAP_MS);
      if (!this.#send(message)) this.#reject(id, 'unconnected');
      return;
    }
  }

  /** @param {number} id */
  #cancel(id) {
    const pending = this.#pending.get(id);
    if (!pending) return;
    if (pending.unsent === null) this.#send({ type: 'cancel', id });
    this.#reject(id, 'cancelled');
  }

  /** @param {number} id @param {string} code */
  #reject(id, code) {
    const pending = this.#pending.get(id);
    this.#remove(id);
    pending?.reject(new RequestError(code));
  }

  /** @param {number} id */
  #remove(id) {
    clearTimeout(this.#pending.get(id)?.timeout);
    this.#pending.delete(id);
  }

  /** @param {number} id */
  #startTimeout(id) {
    return setTimeout(() => this.#reject(id, 'silent'), TIMEOUT_MS);
  }
}

/**
 * @template {ResponseMessage['type']} T
 * @param {ResponseMessage} response
 * @param {T} type
 * @returns {Extract<ResponseMessage, {type: T}>}
 * @throws {RequestError}  If the server sent another type.
 */
function expectType(response, type) {
  if (response.type !== type) throw new RequestError('unexpected');
  return /** @type {Extract<ResponseMessage, {type: T}>} */ (response);
}
