// @ts-check
/** A video or image file as an input: played in the browser and captured as a stream. */

import { createElement } from '../common/dom.js';
import { gettext } from '../common/i18n.js';
import { Animation } from './animation.js';
import { peerRequest } from './inputs.js';
import { Problem } from './problems.js';

/** @typedef {import('./inputs.js').Input} Input */
/** @typedef {import('./inputs.js').InputVideo} InputVideo */
/** @typedef {{video: InputVideo, release: () => void}} Capture */
/**
 * @typedef {HTMLVideoElement &
 *   Partial<Record<'captureStream' | 'mozCaptureStream', () => MediaStream>>} CapturableVideo
 */

const IMAGE_FPS = 10;
const VIDEO_FPS = 25;
/** Canvases have at most this many pixels on the longer side. */
const MAX_SIDE = 1280;
const LOAD_TIMEOUT_MS = 15_000;
/** The beginning of a HEIC image (ISO/IEC 23008-12), from its fifth byte. */
const HEIC_SIGNATURE = /^ftyp(hei[cxms]|mif1)/;

/** @implements {Input} */
export class FileInput {
  kind = /** @type {const} */ ('file');
  /** The name to publish the session under; empty for none. */
  publish = '';
  /** @type {Promise<Problem>} */
  ended = new Promise(() => {});
  #file;
  /** @type {InputVideo | null} */
  #video = null;
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
   * @returns {Promise<InputVideo>}
   */
  async open(signal) {
    if (this.#video?.track?.readyState === 'live') return this.#video;
    this.close();
    const { video, release } = await capture(this.#file);
    if (signal.aborted) release();
    signal.throwIfAborted();
    this.#video = video;
    this.#release = release;
    this.ended = new Promise((resolve) => {
      const onEnded = () => resolve(new Problem('file-unplayable', { subject: this.label }));
      video.track?.addEventListener('ended', onEnded);
    });
    return video;
  }

  close() {
    this.#release();
    this.#release = () => {};
    this.#video = null;
  }
}

/**
 * @param {File} file
 * @returns {Promise<Capture>}
 */
async function capture(file) {
  if (file.size === 0) {
    const subject = gettext('{file} is empty.', { file: file.name });
    throw new Problem('file-unplayable', { subject });
  }
  if (file.type.startsWith('image/') || (await isHeic(file))) return captureImage(file);
  if (file.type === '') return captureImage(file).catch(() => captureVideo(file));
  return captureVideo(file);
}

/**
 * Captures an image that is redrawn continually, so that frames keep coming.
 *
 * @param {File} file
 * @returns {Promise<Capture>}
 */
async function captureImage(file) {
  const animation = await Animation.open(file);
  if (animation) {
    const { displayWidth: width, displayHeight: height } = animation.frame;
    const draw = () => animation.frame;
    return captureCanvas(draw, width, height, IMAGE_FPS, () => animation.close());
  }
  /** @type {ImageBitmap} */
  let image;
  try {
    image = await createImageBitmap(file);
  } catch (error) {
    const code = (await isHeic(file)) ? 'file-heic' : 'file-unplayable';
    throw new Problem(code, { subject: file.name, cause: error });
  }
  return captureCanvas(
    () => image,
    image.width,
    image.height,
    IMAGE_FPS,
    () => image.close(),
  );
}

/** @param {File} file */
async function isHeic(file) {
  return HEIC_SIGNATURE.test(await file.slice(4, 12).text());
}

/**
 * @param {File} file
 * @returns {Promise<Capture>}
 */
async function captureVideo(file) {
  const video = /** @type {CapturableVideo} */ (createElement('video', ''));
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
  if (!stream) return captureCanvas(() => video, width, height, VIDEO_FPS, release);
  const track = await videoTrack(stream);
  for (const audio of stream.getAudioTracks()) audio.stop();
  return {
    video: { track, longestSide: Math.max(width, height) },
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
  const loaded = new Promise((resolve, reject) => {
    const fail = () => {
      reject(new Problem('file-unplayable', { subject: name, cause: video.error }));
    };
    video.onerror = fail;
    video.onloadeddata = resolve;
    setTimeout(fail, LOAD_TIMEOUT_MS);
  });
  video.src = url;
  await loaded;
  video.onerror = video.onloadeddata = null;
  if (video.videoWidth === 0) throw new Problem('file-without-picture', { subject: name });
  try {
    await video.play();
  } catch (error) {
    throw new Problem('file-unplayable', { subject: name, cause: error });
  }
}

/**
 * Returns the video track of a captured stream. Some browsers add it a moment later.
 *
 * @param {MediaStream} stream
 * @returns {Promise<MediaStreamTrack>}
 */
async function videoTrack(stream) {
  const [track] = stream.getVideoTracks();
  if (track) return track;
  return new Promise((resolve) => {
    stream.addEventListener('addtrack', (event) => {
      if (event.track.kind === 'video') resolve(event.track);
    });
  });
}

/**
 * @param {() => CanvasImageSource} source  Returns what to draw now.
 * @param {number} width
 * @param {number} height
 * @param {number} fps
 * @param {() => void} releaseSource
 * @returns {Promise<Capture>}
 */
async function captureCanvas(source, width, height, fps, releaseSource) {
  const scale = Math.min(1, MAX_SIDE / Math.max(width, height));
  const canvas = createElement('canvas', '');
  canvas.width = evenSide(width * scale);
  canvas.height = evenSide(height * scale);
  const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext('2d'));
  context.fillStyle = 'white';
  const draw = () => {
    context.fillRect(0, 0, canvas.width, canvas.height);
    context.drawImage(source(), 0, 0, canvas.width, canvas.height);
  };
  draw();
  const track = await videoTrack(canvas.captureStream(fps));
  const timer = setInterval(draw, 1000 / fps);
  return {
    video: { track, longestSide: Math.max(canvas.width, canvas.height) },
    release: () => {
      clearInterval(timer);
      track.stop();
      releaseSource();
    },
  };
}

/** Rounds a side to an even length: chroma has half the resolution. @param {number} side */
function evenSide(side) {
  return Math.max(2, 2 * Math.round(side / 2));
}
