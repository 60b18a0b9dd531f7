// @ts-check
/** Where pictures come from: what every input offers, and those that live on the server. */

/** @typedef {import('./problems.js').Problem} Problem */
/**
 * What an input hands to a connection.
 *
 * @typedef {object} Feed
 * @property {MediaStreamTrack | null} track  Null when the server has the pictures itself.
 * @property {number} longestSide             Pixels of the longer side, 0 when unknown.
 */
/**
 * What the server is asked for: where it takes its pictures from, and whether others may watch.
 *
 * @typedef {object} Request
 * @property {'peer' | 'demo' | 'feed'} source
 * @property {string} [feed]     The name of the feed to watch.
 * @property {string} [publish]  The name under which others may watch.
 */
/**
 * A camera, a file, the demo or a feed. It may be opened again after it was closed, and an open one
 * that still delivers is handed out again as it is, so that a reconnection asks nobody.
 *
 * @typedef {object} Input
 * @property {'camera' | 'demo' | 'file' | 'feed'} kind
 * @property {string} label  For the reader.
 * @property {Request} request
 * @property {(signal: AbortSignal) => Promise<Feed>} open  Rejects with a Problem.
 * @property {() => void} close
 * @property {Promise<Problem>} ended  Resolves when the open input stops by itself.
 */

/** The moving picture that the server makes. @implements {Input} */
export class Demo {
  kind = /** @type {const} */ ('demo');
  label = 'Demo';
  request = { source: /** @type {const} */ ('demo') };
  /** @type {Promise<Problem>} */
  ended = new Promise(() => {});

  /** @returns {Promise<Feed>} */
  async open() {
    return { track: null, longestSide: 0 };
  }

  close() {}
}

/** A stream of the server that many may watch. @implements {Input} */
export class WatchedFeed {
  kind = /** @type {const} */ ('feed');
  /** @type {Promise<Problem>} */
  ended = new Promise(() => {});

  /**
   * @param {string} name
   * @param {string} [label]  The name until it is known.
   */
  constructor(name, label = name) {
    this.name = name;
    this.label = label;
    this.request = { source: /** @type {const} */ ('feed'), feed: name };
  }

  /** @returns {Promise<Feed>} */
  async open() {
    return { track: null, longestSide: 0 };
  }

  close() {}
}

/**
 * What a peer that sends its own pictures asks for.
 *
 * @param {string} publish  The name under which others may watch; empty for none.
 * @returns {Request}
 */
export function peerRequest(publish) {
  return publish === '' ? { source: 'peer' } : { source: 'peer', publish };
}
