// @ts-check
/** Every problem that a session can end with: what happened, what to do, which actions to offer. */

import { englishText } from '../common/dom.js';
import { gettext } from '../common/i18n.js';

/** @typedef {'retry' | 'continue' | 'camera' | 'demo' | 'file' | 'login' | 'start'} Action */
/**
 * @typedef {object} Explanation
 * @property {string} title       What happened.
 * @property {string} advice      What to do, or what the page is doing about it.
 * @property {Action[]} actions   The likeliest first.
 * @property {boolean} [retries]  Whether the page reconnects by itself.
 */

const EXPLANATIONS = /** @satisfies {Record<string, Explanation>} */ ({
  'camera-refused': {
    title: gettext('Camera access is blocked'),
    advice: gettext(
      'Allow the camera for this page (with the camera icon in the address bar, or in your browser’s site settings), then try again.',
    ),
    actions: ['retry', 'demo', 'file'],
  },
  'camera-dismissed': {
    title: gettext('You closed the camera prompt'),
    advice: gettext('Try again and choose “Allow” when your browser asks.'),
    actions: ['retry', 'demo', 'file'],
  },
  'camera-blocked': {
    title: gettext('Your system blocks the camera'),
    advice: gettext('Allow camera access for your browser in the privacy settings of your system.'),
    actions: ['retry', 'demo', 'file'],
  },
  'camera-missing': {
    title: gettext('No camera found'),
    advice: gettext('Connect a camera or switch it on, then try again. The demo needs no camera.'),
    actions: ['retry', 'demo', 'file'],
  },
  'camera-busy': {
    title: gettext('The camera is in use'),
    advice: gettext('Close the other program or tab that uses it, then try again.'),
    actions: ['retry', 'demo', 'file'],
  },
  'camera-unsuitable': {
    title: gettext('The camera has no suitable resolution'),
    advice: gettext('It rejected every resolution that was requested. Choose another camera.'),
    actions: ['retry', 'demo', 'file'],
  },
  'camera-insecure': {
    title: gettext('The camera needs HTTPS'),
    advice: gettext(
      'Browsers allow camera access only over HTTPS, or at http://localhost on the same machine. Start the server with --https and open the address that it prints. The demo and your own files work without HTTPS.',
    ),
    actions: ['demo', 'file'],
  },
  'camera-lost': {
    title: gettext('The camera stopped'),
    advice: gettext('It was unplugged, switched off or taken over by another program.'),
    actions: ['retry', 'demo', 'file'],
  },
  'camera-failed': {
    title: gettext('The camera could not be started'),
    advice: gettext(
      'Your browser gave no specific reason. Reconnect the camera, or choose another one.',
    ),
    actions: ['retry', 'demo', 'file'],
  },
  'file-unplayable': {
    title: gettext('This file cannot be played'),
    advice: gettext(
      'Your browser cannot decode it. MP4 (H.264) and WebM videos, and JPEG, PNG and WebP images usually work.',
    ),
    actions: ['file', 'demo'],
  },
  'file-heic': {
    title: gettext('Your browser cannot decode HEIC photos'),
    advice: gettext('Convert the photo to JPEG, and choose that file.'),
    actions: ['file', 'demo'],
  },
  'file-without-picture': {
    title: gettext('This file has no video'),
    advice: gettext('It contains only audio. Choose a video or an image.'),
    actions: ['file', 'demo'],
  },
  'no-webrtc': {
    title: gettext('This browser cannot stream video'),
    advice: gettext(
      'Sightline needs WebRTC, which is missing or turned off. Use a current version of Firefox, Chrome, Edge or Safari.',
    ),
    actions: [],
  },
  'server-gone': {
    title: gettext('The server does not respond'),
    advice: gettext(
      'It may be restarting, or your network may be down. Captions resume automatically.',
    ),
    actions: [],
    retries: true,
  },
  'server-lost': {
    title: gettext('Connection lost'),
    advice: gettext('The server sent nothing for a while. Captions resume automatically.'),
    actions: [],
    retries: true,
  },
  'server-stopping': {
    title: gettext('The server is stopping'),
    advice: gettext('It may be restarting. Captions resume automatically.'),
    actions: [],
    retries: true,
  },
  'device-slept': {
    title: gettext('This device was asleep'),
    advice: gettext('The connection ended meanwhile. Captions resume automatically.'),
    actions: [],
    retries: true,
  },
  'no-path': {
    title: gettext('Video cannot reach the server'),
    advice: gettext(
      'The server responds, but no video gets through. A firewall or VPN may block it, or the server may listen on another network.',
    ),
    actions: [],
    retries: true,
  },
  'no-address': {
    title: gettext('Your browser found no network'),
    advice: gettext(
      'Browsers send video over a network only, even to a server on the same computer. Connect this device to one. An extension that blocks WebRTC has the same effect.',
    ),
    actions: [],
    retries: true,
  },
  'server-full': {
    title: gettext('The server is full'),
    advice: gettext('All sessions are in use. Yours starts automatically when one is free.'),
    actions: [],
    retries: true,
  },
  'too-many': {
    title: gettext('Too many requests'),
    advice: gettext(
      'The server limits sessions and requests per address. This page retries automatically.',
    ),
    actions: [],
    retries: true,
  },
  'logged-out': {
    title: gettext('You are logged out'),
    advice: gettext('Your login has expired, or the server was restarted. Log in to continue.'),
    actions: ['login'],
  },
  'not-allowed': {
    title: gettext('Admin access needed'),
    advice: gettext('Viewers can only watch feeds. To start your own session, log in as admin.'),
    actions: ['login', 'start'],
  },
  'feed-interrupted': {
    title: gettext('The feed was interrupted'),
    advice: gettext(
      'It was reconfigured, or it has ended. If it still exists, it resumes automatically.',
    ),
    actions: [],
    retries: true,
  },
  'feed-unknown': {
    title: gettext('Feed not found'),
    advice: gettext('It is not in the server’s configuration, or it is no longer shared.'),
    actions: ['retry', 'start'],
  },
  'name-taken': {
    title: gettext('The name is taken'),
    advice: gettext(
      'Another session is shared under it. If that was yours, the name is free again in a few seconds.',
    ),
    actions: ['retry', 'start'],
  },
  renewed: {
    title: gettext('Reconnecting'),
    advice: gettext('The change needs a new connection.'),
    actions: [],
    retries: true,
  },
  'server-failed': {
    title: gettext('Server error'),
    advice: gettext('The server could not start a session. If this continues, check its log.'),
    actions: [],
    retries: true,
  },
  'not-available': {
    title: gettext('Not available right now'),
    advice: gettext('Choose another source, or try again later.'),
    actions: ['retry', 'camera', 'file'],
  },
  'offer-refused': {
    title: gettext('The server rejected this session'),
    advice: gettext(
      'Reload the page. If that does not help, open it at the address that the server prints.',
    ),
    actions: ['retry'],
  },
  'browser-failed': {
    title: gettext('Your browser could not start the stream'),
    advice: gettext('It has no video format in common with the server. Try another browser.'),
    actions: ['retry'],
  },
  'session-ended': {
    title: gettext('The session ended'),
    advice: gettext(
      'Sessions have a time limit, so that everyone gets a turn. Continue with a new one.',
    ),
    actions: ['continue'],
  },
  'source-ended': {
    title: gettext('The source ended'),
    advice: gettext('It has no more frames.'),
    actions: ['retry', 'start'],
  },
  'camera-released': {
    title: gettext('The camera was switched off'),
    advice: gettext('You left this page, which releases the camera.'),
    actions: ['continue'],
  },
  'page-failed': {
    title: gettext('Something went wrong'),
    advice: gettext('This is an error in the page. Try again, or reload it.'),
    actions: ['retry'],
  },
});

/** @typedef {keyof typeof EXPLANATIONS} ProblemCode */

/** A reason why a session ended or was interrupted. */
export class Problem extends Error {
  /**
   * @param {ProblemCode} code
   * @param {object} [details]
   * @param {string} [details.subject]      What it is about, such as the name of a file.
   * @param {string} [details.detail]       A message of the server or the browser, in English.
   * @param {number | undefined} [details.retryAfterS]  The delay that the server asked for.
   * @param {unknown} [details.cause]
   */
  constructor(code, { subject = '', detail = '', retryAfterS, cause } = {}) {
    super(code, { cause });
    this.name = 'Problem';
    this.code = code;
    this.subject = subject;
    this.detail = detail;
    this.retryAfterS = retryAfterS;
  }

  /** @returns {Explanation} */
  get explanation() {
    return EXPLANATIONS[this.code];
  }

  /** What is to be shown besides the explanation; may be an empty string. */
  get detailNode() {
    return this.detail === '' ? this.subject : englishText(this.detail);
  }

  get retries() {
    return this.explanation.retries === true;
  }
}

/**
 * @param {unknown} error
 * @returns {Problem}  The error itself if it is one.
 */
export function problemFrom(error) {
  if (error instanceof Problem) return error;
  return new Problem('page-failed', { detail: String(error), cause: error });
}
