// @ts-check
/** Where pictures come from: what every input offers, and the one that lives on the server. */

/** @typedef {import('./problems.js').Problem} Problem */
/**
 * What an input hands to a connection.
 *
 * @typedef {object} Feed
 * @property {MediaStreamTrack | null} track  Null when the server has the pictures itself.
 * @property {number} longestSide             Pixels of the longer side, 0 when unknown.
 */
/**
 * A camera, a file or the demo. It may be opened again after it was closed, and an open one
 * that still delivers is handed out again as it is, so that a reconnection asks nobody.
 *
 * @typedef {object} Input
 * @property {'camera' | 'demo' | 'file'} kind
 * @property {string} label  For the reader.
 * @property {(signal: AbortSignal) => Promise<Feed>} open  Rejects with a Problem.
 * @property {() => void} close
 * @property {Promise<Problem>} ended  Resolves when the open input stops by itself.
 */

/** The moving picture that the server makes. @implements {Input} */
export class Demo {
  kind = /** @type {const} */ ('demo');
  label = 'Demo';
  /** @type {Promise<Problem>} */
  ended = new Promise(() => {});

  /** @returns {Promise<Feed>} */
  async open() {
    return { track: null, longestSide: 0 };
  }

  close() {}
}
