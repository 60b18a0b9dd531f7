// @ts-check
/** Every problem that a session can end with: what happened, what to do, which actions to offer. */

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
    title: 'Camera access is blocked',
    advice:
      'Allow the camera for this page (with the camera icon in the address bar, or in your ' +
      'browser’s site settings), then try again.',
    actions: ['retry', 'demo', 'file'],
  },
  'camera-dismissed': {
    title: 'You closed the camera prompt',
    advice: 'Try again and choose “Allow” when your browser asks.',
    actions: ['retry', 'demo', 'file'],
  },
  'camera-blocked': {
    title: 'Your system blocks the camera',
    advice: 'Allow camera access for your browser in the privacy settings of your system.',
    actions: ['retry', 'demo', 'file'],
  },
  'camera-missing': {
    title: 'No camera found',
    advice: 'Connect a camera or switch it on, then try again. The demo needs no camera.',
    actions: ['retry', 'demo', 'file'],
  },
  'camera-busy': {
    title: 'The camera is in use',
    advice: 'Close the other program or tab that uses it, then try again.',
    actions: ['retry', 'demo', 'file'],
  },
  'camera-unsuitable': {
    title: 'The camera has no suitable resolution',
    advice: 'It rejected every resolution that was requested. Choose another camera.',
    actions: ['retry', 'demo', 'file'],
  },
  'camera-insecure': {
    title: 'The camera needs HTTPS',
    advice:
      'Browsers allow camera access only over HTTPS, or at http://localhost on the same ' +
      'machine. Start the server with --https and open the address that it prints. The demo ' +
      'and your own files work without HTTPS.',
    actions: ['demo', 'file'],
  },
  'camera-lost': {
    title: 'The camera stopped',
    advice: 'It was unplugged, switched off or taken over by another program.',
    actions: ['retry', 'demo', 'file'],
  },
  'camera-failed': {
    title: 'The camera could not be started',
    advice: 'Your browser gave no specific reason. Reconnect the camera, or choose another one.',
    actions: ['retry', 'demo', 'file'],
  },
  'file-unplayable': {
    title: 'This file cannot be played',
    advice:
      'Your browser cannot decode it. MP4 (H.264) and WebM videos, and JPEG, PNG and WebP ' +
      'images usually work.',
    actions: ['file', 'demo'],
  },
  'file-heic': {
    title: 'Your browser cannot decode HEIC photos',
    advice: 'Convert the photo to JPEG, and choose that file.',
    actions: ['file', 'demo'],
  },
  'file-without-picture': {
    title: 'This file has no video',
    advice: 'It contains only audio. Choose a video or an image.',
    actions: ['file', 'demo'],
  },
  'no-webrtc': {
    title: 'This browser cannot stream video',
    advice:
      'Sightline needs WebRTC, which is missing or turned off. Use a current version of ' +
      'Firefox, Chrome, Edge or Safari.',
    actions: [],
  },
  'server-gone': {
    title: 'The server does not respond',
    advice: 'It may be restarting, or your network may be down. Captions resume automatically.',
    actions: [],
    retries: true,
  },
  'server-lost': {
    title: 'Connection lost',
    advice: 'The server sent nothing for a while. Captions resume automatically.',
    actions: [],
    retries: true,
  },
  'server-stopping': {
    title: 'The server is stopping',
    advice: 'It may be restarting. Captions resume automatically.',
    actions: [],
    retries: true,
  },
  'device-slept': {
    title: 'This device was asleep',
    advice: 'The connection ended meanwhile. Captions resume automatically.',
    actions: [],
    retries: true,
  },
  'no-path': {
    title: 'Video cannot reach the server',
    advice:
      'The server responds, but no video gets through. A firewall or VPN may block it, or ' +
      'the server may listen on another network.',
    actions: [],
    retries: true,
  },
  'no-address': {
    title: 'Your browser found no network',
    advice:
      'Browsers send video over a network only, even to a server on the same computer. Connect ' +
      'this device to one. An extension that blocks WebRTC has the same effect.',
    actions: [],
    retries: true,
  },
  'server-full': {
    title: 'The server is full',
    advice: 'All sessions are in use. Yours starts automatically when one is free.',
    actions: [],
    retries: true,
  },
  'too-many': {
    title: 'Too many requests',
    advice:
      'The server limits sessions and requests per address. This page retries ' + 'automatically.',
    actions: [],
    retries: true,
  },
  'logged-out': {
    title: 'You are logged out',
    advice: 'Your login has expired, or the server was restarted. Log in to continue.',
    actions: ['login'],
  },
  'not-allowed': {
    title: 'Admin access needed',
    advice: 'Viewers can only watch feeds. To start your own session, log in as admin.',
    actions: ['login', 'start'],
  },
  'feed-interrupted': {
    title: 'The feed was interrupted',
    advice: 'It was reconfigured, or it has ended. If it still exists, it resumes automatically.',
    actions: [],
    retries: true,
  },
  'feed-unknown': {
    title: 'Feed not found',
    advice: 'It is not in the server’s configuration, or it is no longer shared.',
    actions: ['retry', 'start'],
  },
  'name-taken': {
    title: 'The name is taken',
    advice:
      'Another session is shared under it. If that was yours, the name is free again in a ' +
      'few seconds.',
    actions: ['retry', 'start'],
  },
  renewed: {
    title: 'Reconnecting',
    advice: 'The change needs a new connection.',
    actions: [],
    retries: true,
  },
  'server-failed': {
    title: 'Server error',
    advice: 'The server could not start a session. If this continues, check its log.',
    actions: [],
    retries: true,
  },
  'not-available': {
    title: 'Not available right now',
    advice: 'Choose another source, or try again later.',
    actions: ['retry', 'camera', 'file'],
  },
  'offer-refused': {
    title: 'The server rejected this session',
    advice:
      'Reload the page. If that does not help, open it at the address that the server ' + 'prints.',
    actions: ['retry'],
  },
  'browser-failed': {
    title: 'Your browser could not start the stream',
    advice: 'It has no video format in common with the server. Try another browser.',
    actions: ['retry'],
  },
  'session-ended': {
    title: 'The session ended',
    advice: 'Sessions have a time limit, so that everyone gets a turn. Continue with a new one.',
    actions: ['continue'],
  },
  'source-ended': {
    title: 'The source ended',
    advice: 'It has no more frames.',
    actions: ['retry', 'start'],
  },
  'camera-released': {
    title: 'The camera was switched off',
    advice: 'You left this page, which releases the camera.',
    actions: ['continue'],
  },
  'page-failed': {
    title: 'Something went wrong',
    advice: 'This is an error in the page. Try again, or reload it.',
    actions: ['retry'],
  },
});

/** @typedef {keyof typeof EXPLANATIONS} ProblemCode */

/** A reason why a session ended or was interrupted. */
export class Problem extends Error {
  /**
   * @param {ProblemCode} code
   * @param {object} [details]
   * @param {string} [details.detail]       A message of the server or the browser, or a file name.
   * @param {number | undefined} [details.retryAfterS]  The delay that the server asked for.
   * @param {unknown} [details.cause]
   */
  constructor(code, { detail = '', retryAfterS, cause } = {}) {
    super(code, { cause });
    this.name = 'Problem';
    this.code = code;
    this.detail = detail;
    this.retryAfterS = retryAfterS;
  }

  /** @returns {Explanation} */
  get explanation() {
    return EXPLANATIONS[this.code];
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
