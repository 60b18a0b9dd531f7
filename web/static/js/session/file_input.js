// @ts-check
/** A video or an image of the visitor's own: played or drawn here and captured as a stream. */

import { peerRequest } from './inputs.js';
import { Problem } from './problems.js';

/** @typedef {import('./inputs.js').Feed} Feed */
/** @typedef {import('./inputs.js').Input} Input */
/**
 * @typedef {HTMLVideoElement &
 *   Partial<Record<'captureStream' | 'mozCaptureStream', () => MediaStream>>} CapturableVideo
 */

const IMAGE_FRAMES_PER_SECOND = 10;
const VIDEO_FRAMES_PER_SECOND = 25;
/** Canvases are no larger than this on the longer side. */
const LONGEST_SIDE = 1280;
const LOADING_LIMIT_MS = 15_000;

/** @implements {Input} */
export class OwnFile {
  kind = /** @type {const} */ ('file');
  /** The name under which others may watch; empty for none. */
  publish = '';
  /** @type {Promise<Problem>} */
  ended = new Promise(() => {});
  #file;
  /** @type {Feed | null} */
  #feed = null;
  /** @type {() => void} */
  #release = () => {};

  /** @param {File} file */
  constructor(file) {
    this.#file = file;
    this.label = file.name;
  }

  get request() {
    return peerRequest(this.publish);
  }

  /**
   * @param {AbortSignal} signal
   * @returns {Promise<Feed>}
   */
  async open(signal) {
    if (this.#feed?.track?.readyState === 'live') return this.#feed;
    this.close();
    const { feed, release } = await this.#capture();
    if (signal.aborted) release();
    signal.throwIfAborted();
    this.#feed = feed;
    this.#release = release;
    this.ended = new Promise((resolve) => {
      const ended = () => resolve(new Problem('file-unplayable', { detail: this.label }));
      feed.track?.addEventListener('ended', ended);
    });
    return feed;
  }

  close() {
    this.#release();
    this.#release = () => {};
    this.#feed = null;
  }

  async #capture() {
    const file = this.#file;
    if (file.size === 0) throw new Problem('file-unplayable', { detail: `${file.name} is empty.` });
    if (file.type.startsWith('image/')) return captureImage(file);
    if (file.type === '') return captureImage(file).catch(() => captureVideo(file));
    return captureVideo(file);
  }
}

/** @typedef {{feed: Feed, release: () => void}} Capture */

/**
 * An image drawn again and again, so that frames flow.
 *
 * @param {File} file
 * @returns {Promise<Capture>}
 */
async function captureImage(file) {
  /** @type {ImageBitmap} */
  let image;
  try {
    image = await createImageBitmap(file);
  } catch (error) {
    throw new Problem('file-unplayable', { detail: file.name, cause: error });
  }
  return captureCanvas(image, image.width, image.height, IMAGE_FRAMES_PER_SECOND, () =>
    image.close(),
  );
}

/**
 * @param {File} file
 * @returns {Promise<Capture>}
 */
async function captureVideo(file) {
  const video = /** @type {CapturableVideo} */ (document.createElement('video'));
  const url = URL.createObjectURL(file);
  const onVisible = () => {
    if (!document.hidden) video.play().catch(() => {});
  };
  const release = () => {
    document.removeEventListener('visibilitychange', onVisible);
    video.removeAttribute('src');
    video.load();
    URL.revokeObjectURL(url);
  };
  try {
    await startPlaying(video, url, file.name);
  } catch (error) {
    release();
    throw error;
  }
  document.addEventListener('visibilitychange', onVisible);
  const { videoWidth: width, videoHeight: height } = video;
  const stream = video.captureStream?.() ?? video.mozCaptureStream?.();
  if (!stream) return captureCanvas(video, width, height, VIDEO_FRAMES_PER_SECOND, release);
  const track = await videoTrack(stream);
  for (const sound of stream.getAudioTracks()) sound.stop();
  return {
    feed: { track, longestSide: Math.max(width, height) },
    release: () => {
      track.stop();
      release();
    },
  };
}

/**
 * @param {HTMLVideoElement} video
 * @param {string} url
 * @param {string} name  Of the file.
 */
async function startPlaying(video, url, name) {
  video.muted = true;
  video.loop = true;
  video.playsInline = true;
  const playing = new Promise((resolve, reject) => {
    const refuse = () => {
      reject(new Problem('file-unplayable', { detail: name, cause: video.error }));
    };
    video.onerror = refuse;
    video.onloadeddata = resolve;
    setTimeout(refuse, LOADING_LIMIT_MS);
  });
  video.src = url;
  await playing;
  video.onerror = video.onloadeddata = null;
  if (video.videoWidth === 0) throw new Problem('file-without-picture', { detail: name });
  try {
    await video.play();
  } catch (error) {
    throw new Problem('file-unplayable', { detail: name, cause: error });
  }
}

/**
 * The picture of a captured stream; some browsers add it a moment later.
 *
 * @param {MediaStream} stream
 * @returns {Promise<MediaStreamTrack>}
 */
async function videoTrack(stream) {
  const track = stream.getVideoTracks()[0];
  if (track) return track;
  return new Promise((resolve) => {
    stream.addEventListener('addtrack', (event) => {
      if (event.track.kind === 'video') resolve(event.track);
    });
  });
}

/**
 * @param {CanvasImageSource} picture
 * @param {number} width
 * @param {number} height
 * @param {number} framesPerSecond
 * @param {() => void} releasePicture
 * @returns {Capture}
 */
function captureCanvas(picture, width, height, framesPerSecond, releasePicture) {
  const scale = Math.min(1, LONGEST_SIDE / Math.max(width, height));
  const canvas = document.createElement('canvas');
  canvas.width = evenSide(width * scale);
  canvas.height = evenSide(height * scale);
  const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext('2d'));
  context.fillStyle = 'white';
  const draw = () => {
    context.fillRect(0, 0, canvas.width, canvas.height);
    context.drawImage(picture, 0, 0, canvas.width, canvas.height);
  };
  draw();
  const track = canvas.captureStream(framesPerSecond).getVideoTracks()[0];
  const timer = setInterval(draw, 1000 / framesPerSecond);
  return {
    feed: { track, longestSide: Math.max(canvas.width, canvas.height) },
    release: () => {
      clearInterval(timer);
      track.stop();
      releasePicture();
    },
  };
}

/** Chroma is halved on the way, so an odd side would lose a row. @param {number} side */
function evenSide(side) {
  return Math.max(2, 2 * Math.round(side / 2));
}
