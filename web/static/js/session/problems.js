// @ts-check
/** Everything that can go wrong, and what each failure says: what happened and what to do. */

/** @typedef {'retry' | 'continue' | 'camera' | 'demo' | 'file' | 'login' | 'start'} Action */
/**
 * @typedef {object} Explanation
 * @property {string} title       What happened.
 * @property {string} advice      What to do, or what the page is doing about it.
 * @property {Action[]} actions   What the page offers, the likeliest first.
 * @property {boolean} [retries]  The page goes on trying by itself.
 */

/** @type {Record<string, Explanation>} */
const EXPLANATIONS = {
  'camera-refused': {
    title: 'The camera was not allowed',
    advice:
      'Allow it for this page (the camera sign beside the address, or the site settings of ' +
      'your browser), then try again.',
    actions: ['retry', 'demo', 'file'],
  },
  'camera-dismissed': {
    title: 'The question about the camera was closed',
    advice: 'Try again and choose “Allow” when your browser asks.',
    actions: ['retry', 'demo', 'file'],
  },
  'camera-blocked': {
    title: 'Your system keeps the camera from the browser',
    advice: 'Allow the camera for your browser in the privacy settings of the system.',
    actions: ['retry', 'demo', 'file'],
  },
  'camera-missing': {
    title: 'No camera was found',
    advice: 'Plug one in or switch it on, then try again. The demo needs none.',
    actions: ['retry', 'demo', 'file'],
  },
  'camera-busy': {
    title: 'The camera is in use',
    advice: 'Another program or tab holds it. Close that one, then try again.',
    actions: ['retry', 'demo', 'file'],
  },
  'camera-unsuitable': {
    title: 'The camera cannot deliver a usable picture',
    advice: 'It refused every picture size that was asked for. Choose another camera.',
    actions: ['retry', 'demo', 'file'],
  },
  'camera-insecure': {
    title: 'The camera needs a secure address',
    advice:
      'Browsers give a camera only to pages opened over https, or at http://localhost on ' +
      'the same machine. Start the server with --https and open the address that it prints. ' +
      'The demo and your own files work here all the same.',
    actions: ['demo', 'file'],
  },
  'camera-lost': {
    title: 'The camera stopped',
    advice: 'It was unplugged, switched off or taken by another program.',
    actions: ['retry', 'demo', 'file'],
  },
  'camera-failed': {
    title: 'The camera could not be started',
    advice: 'Your browser gave no usable reason. Plug the camera in again or choose another.',
    actions: ['retry', 'demo', 'file'],
  },
  'file-unplayable': {
    title: 'This file cannot be played here',
    advice:
      'Your browser cannot decode it. MP4 (H.264) and WebM videos and JPEG, PNG and WebP ' +
      'images usually work.',
    actions: ['file', 'demo'],
  },
  'file-without-picture': {
    title: 'This file has no picture',
    advice: 'It plays, but holds only sound. Choose a video or an image.',
    actions: ['file', 'demo'],
  },
  'no-webrtc': {
    title: 'This browser cannot stream video',
    advice:
      'Sightline needs WebRTC, which is missing or switched off here. Use a current Firefox, ' +
      'Chrome, Edge or Safari.',
    actions: [],
  },
  'server-gone': {
    title: 'The server does not answer',
    advice:
      'It may be restarting, or your network is down. Captions go on by themselves as soon as ' +
      'it is back.',
    actions: [],
    retries: true,
  },
  'server-lost': {
    title: 'The connection was lost',
    advice: 'Nothing came from the server for a while. Captions go on by themselves.',
    actions: [],
    retries: true,
  },
  'server-stopping': {
    title: 'The server is stopping',
    advice: 'It may be restarting. Captions go on by themselves as soon as it is back.',
    actions: [],
    retries: true,
  },
  'device-slept': {
    title: 'This device was asleep',
    advice: 'The connection ended meanwhile. Captions go on by themselves.',
    actions: [],
    retries: true,
  },
  'no-path': {
    title: 'The video cannot reach the server',
    advice:
      'The server answers, but the stream does not get through. A firewall or a VPN may be ' +
      'in the way, or the server listens on another network.',
    actions: [],
    retries: true,
  },
  'server-full': {
    title: 'The server is full',
    advice: 'Every place is taken. Yours starts by itself as soon as one is free.',
    actions: [],
    retries: true,
  },
  'too-many': {
    title: 'Too much was asked at once',
    advice:
      'The server takes only so many sessions and requests from one address. It goes on by ' +
      'itself in a moment.',
    actions: [],
    retries: true,
  },
  'logged-out': {
    title: 'You are logged out',
    advice: 'The login has ended, or the server was started anew. Log in to go on.',
    actions: ['login'],
  },
  'not-allowed': {
    title: 'This needs an admin',
    advice: 'Who is logged in as a viewer may watch feeds. For a session of your own log in as admin.',
    actions: ['login', 'start'],
  },
  'feed-interrupted': {
    title: 'The feed was interrupted',
    advice: 'It was set up anew, or it is over. If it is still there it goes on by itself.',
    actions: [],
    retries: true,
  },
  'feed-unknown': {
    title: 'This feed is not there',
    advice: 'It is not in the server’s configuration, or whoever shared it has stopped.',
    actions: ['retry', 'start'],
  },
  'name-taken': {
    title: 'The name is taken',
    advice:
      'Something else is shared under it. If that was you a moment ago, it will be free again in ' +
      'some seconds.',
    actions: ['retry', 'start'],
  },
  renewed: {
    title: 'Connecting anew',
    advice: 'You asked for something that takes a new connection.',
    actions: [],
    retries: true,
  },
  'server-failed': {
    title: 'The server had a fault',
    advice: 'It could not start a session. If this lasts, its log says why.',
    actions: [],
    retries: true,
  },
  'not-available': {
    title: 'The server cannot do this now',
    advice: 'Choose another source, or try again later.',
    actions: ['retry', 'camera', 'file'],
  },
  'offer-refused': {
    title: 'The server refused this session',
    advice:
      'Reload the page. If that does not help, open it at the address that the server prints.',
    actions: ['retry'],
  },
  'browser-failed': {
    title: 'Your browser could not start the stream',
    advice: 'It and the server found no common way to send video. Try another browser.',
    actions: ['retry'],
  },
  'session-ended': {
    title: 'The server ended this session',
    advice: 'Sessions have a limit so that everyone gets a place. Continue with a new one.',
    actions: ['continue'],
  },
  'source-ended': {
    title: 'The source ended',
    advice: 'The server has no further pictures from it.',
    actions: ['retry', 'start'],
  },
  'camera-released': {
    title: 'The camera was released while you were away',
    advice: 'You left this page, so it was switched off.',
    actions: ['continue'],
  },
  'page-failed': {
    title: 'Something in this page went wrong',
    advice: 'This is a fault of ours. Try again, or reload the page.',
    actions: ['retry'],
  },
};

/** A failure by its code, with what is known about this one case. */
export class Problem extends Error {
  /**
   * @param {string} code  A key of the explanations above.
   * @param {object} [known]
   * @param {string} [known.detail]          What the server or the browser said, or a file's name.
   * @param {number} [known.retryAfterS]     The pause that the server asked for.
   * @param {unknown} [known.cause]
   */
  constructor(code, { detail = '', retryAfterS, cause } = {}) {
    super(code, { cause });
    this.name = 'Problem';
    this.code = Object.hasOwn(EXPLANATIONS, code) ? code : 'page-failed';
    this.detail = detail;
    this.retryAfterS = retryAfterS;
  }

  get explanation() {
    return EXPLANATIONS[this.code];
  }

  get retries() {
    return this.explanation.retries === true;
  }
}

/**
 * @param {unknown} error
 * @returns {Problem}  The error itself when it is a problem already.
 */
export function problemFrom(error) {
  if (error instanceof Problem) return error;
  return new Problem('page-failed', { detail: String(error), cause: error });
}
