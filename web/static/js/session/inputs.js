// @ts-check
/** What a session captions: the interface of every input, and the inputs on the server's side. */

import { gettext } from '../common/i18n.js';

/** @typedef {import('./problems.js').Problem} Problem */
/**
 * The video that an input sends to the server.
 *
 * @typedef {object} InputVideo
 * @property {MediaStreamTrack | null} track  Null if the server has the video itself.
 * @property {number} longestSide             In pixels; 0 if unknown.
 */
/**
 * What the page requests of the server: whose video to caption, and whether to publish it.
 *
 * @typedef {object} SourceRequest
 * @property {'peer' | 'demo' | 'feed'} source
 * @property {string} [feed]     The name of the feed to watch.
 * @property {string} [publish]  The name to publish the session under.
 * @property {'annotated' | 'plain'} [returned_video]  Of a feed: with its caption, or without.
 */
/**
 * A camera, a file, the demo or a feed. It can be opened again after it was closed. While it is
 * open, `open` returns the same track, so that reconnecting asks for no permission.
 *
 * @typedef {object} Input
 * @property {'camera' | 'demo' | 'file' | 'feed'} kind
 * @property {string} label  For the user.
 * @property {SourceRequest} request
 * @property {(signal: AbortSignal) => Promise<InputVideo>} open  Rejects with a Problem.
 * @property {() => void} close
 * @property {Promise<Problem>} ended  Resolves when the open input stops by itself.
 */

/** The server's sample video. @implements {Input} */
export class DemoInput {
  kind = /** @type {const} */ ('demo');
  label = gettext('Demo');
  request = { source: /** @type {const} */ ('demo') };
  /** @type {Promise<Problem>} */
  ended = new Promise(() => {});

  /** @returns {Promise<InputVideo>} */
  async open() {
    return { track: null, longestSide: 0 };
  }

  close() {}
}

/** A feed of the server, or a published session. @implements {Input} */
export class FeedInput {
  kind = /** @type {const} */ ('feed');
  /** @type {Promise<Problem>} */
  ended = new Promise(() => {});

  /**
   * @param {string} name
   * @param {string} [label]  The feed's title, if it is known.
   * @param {'annotated' | 'plain'} [video]  With its caption, or without.
   */
  constructor(name, label = name, video = 'annotated') {
    this.name = name;
    this.label = label;
    this.request = {
      source: /** @type {const} */ ('feed'),
      feed: name,
      returned_video: video,
    };
  }

  /** @returns {Promise<InputVideo>} */
  async open() {
    return { track: null, longestSide: 0 };
  }

  close() {}
}

/**
 * Returns the request of an input that sends its own video.
 *
 * @param {string} publish  The name to publish the session under; empty for none.
 * @returns {SourceRequest}
 */
export function peerRequest(publish) {
  return publish === '' ? { source: 'peer' } : { source: 'peer', publish };
}
