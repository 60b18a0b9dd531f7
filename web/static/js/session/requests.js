// @ts-check
/** What is asked of the server under a number, until it is answered, refused or given up. */

/** @typedef {import('./protocol.js').AnalysisKind} AnalysisKind */
/** @typedef {import('./protocol.js').Checked} Checked */
/** @typedef {import('./protocol.js').Explanation} Explanation */
/** @typedef {import('./protocol.js').Progress} Progress */
/** @typedef {import('./protocol.js').Result} Result */
/** @typedef {import('./protocol.js').ServerMessage} ServerMessage */
/** @typedef {import('./protocol.js').Target} Target */
/**
 * @typedef {object} Waiting
 * @property {object | null} unsent  The message, until it is sent.
 * @property {(answer: any) => void} resolve
 * @property {(refusal: Refusal) => void} reject
 * @property {(progress: Progress) => void} onProgress
 * @property {ReturnType<typeof setTimeout>} [patience]
 */

/** So long may the server say nothing of a question before it is taken for lost. */
const PATIENCE_MS = 30_000;
/** Between two questions, as the server takes only so many messages a second. */
const GAP_MS = 150;

export class Refusal extends Error {
  /**
   * @param {string} code  One of the protocol's, or `unconnected` or `silent`.
   * @param {string} [message]  The server's own.
   */
  constructor(code, message = '') {
    super(message);
    this.code = code;
  }
}

export class Questions {
  #send;
  #next = 0;
  /** @type {Map<number, Waiting>} */
  #waiting = new Map();
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #gap;

  /** @param {(message: object) => boolean} send  Tells whether it could be sent. */
  constructor(send) {
    this.#send = send;
  }

  /**
   * @param {{seq: number, method: string, of: Target}} question
   * @param {AbortSignal} signal
   * @param {(progress: Progress) => void} [onProgress]
   * @returns {Promise<Explanation>}  Rejects with a Refusal.
   */
  explain(question, signal, onProgress) {
    return this.#ask('explain', question, signal, onProgress);
  }

  /**
   * @param {{seq: number, method: string, index: number}} question
   * @param {AbortSignal} signal
   * @returns {Promise<Checked>}  Rejects with a Refusal.
   */
  check(question, signal) {
    return this.#ask('check', question, signal);
  }

  /**
   * @param {{seq: number, kind: AnalysisKind, params: object}} question
   * @param {AbortSignal} signal
   * @param {(progress: Progress) => void} onProgress
   * @returns {Promise<Result>}  Rejects with a Refusal.
   */
  analyze(question, signal, onProgress) {
    return this.#ask('analyze', question, signal, onProgress);
  }

  /**
   * @param {ServerMessage} message
   * @returns {boolean}  Whether it was of a question.
   */
  hear(message) {
    if (!('id' in message) || message.id === null || message.type === 'pong') return false;
    const waiting = this.#waiting.get(message.id);
    if (!waiting) return true;
    if (message.type === 'progress') {
      clearTimeout(waiting.patience);
      waiting.patience = this.#startPatience(message.id);
      waiting.onProgress(message);
      return true;
    }
    this.#forget(message.id);
    if (message.type === 'error') waiting.reject(new Refusal(message.code, message.message));
    else waiting.resolve(message);
    return true;
  }

  /** Gives up all, as the connection is gone. */
  abandon() {
    for (const id of [...this.#waiting.keys()]) this.#refuse(id, 'unconnected');
  }

  /**
   * @param {'explain' | 'check' | 'analyze'} type
   * @param {object} question
   * @param {AbortSignal} signal
   * @param {(progress: Progress) => void} [onProgress]
   * @returns {Promise<any>}
   */
  #ask(type, question, signal, onProgress = () => {}) {
    const id = this.#next++;
    return new Promise((resolve, reject) => {
      if (signal.aborted) {
        reject(new Refusal('cancelled'));
        return;
      }
      const unsent = { type, id, ...question };
      this.#waiting.set(id, { unsent, resolve, reject, onProgress });
      signal.addEventListener('abort', () => this.#cancel(id));
      this.#sendNext();
    });
  }

  /** Sends what was asked first, unless the last question was sent just now. */
  #sendNext() {
    if (this.#gap !== undefined) return;
    for (const [id, waiting] of this.#waiting) {
      if (waiting.unsent === null) continue;
      const message = waiting.unsent;
      waiting.unsent = null;
      waiting.patience = this.#startPatience(id);
      this.#gap = setTimeout(() => {
        this.#gap = undefined;
        this.#sendNext();
      }, GAP_MS);
      if (!this.#send(message)) this.#refuse(id, 'unconnected');
      return;
    }
  }

  /** @param {number} id */
  #cancel(id) {
    const waiting = this.#waiting.get(id);
    if (!waiting) return;
    if (waiting.unsent === null) this.#send({ type: 'cancel', id });
    this.#refuse(id, 'cancelled');
  }

  /** @param {number} id @param {string} code */
  #refuse(id, code) {
    const waiting = this.#waiting.get(id);
    this.#forget(id);
    waiting?.reject(new Refusal(code));
  }

  /** @param {number} id */
  #forget(id) {
    clearTimeout(this.#waiting.get(id)?.patience);
    this.#waiting.delete(id);
  }

  /** @param {number} id */
  #startPatience(id) {
    return setTimeout(() => this.#refuse(id, 'silent'), PATIENCE_MS);
  }
}
