// @ts-check
/** A camera of this device, and the list of those that it has. */

import { peerRequest } from './inputs.js';
import { Problem } from './problems.js';

/** @typedef {import('./inputs.js').Feed} Feed */
/** @typedef {import('./inputs.js').Input} Input */

/** @implements {Input} */
export class Camera {
  kind = /** @type {const} */ ('camera');
  label = 'Camera';
  /** The name under which others may watch; empty for none. */
  publish = '';
  /** @type {Promise<Problem>} */
  ended = new Promise(() => {});
  /** @type {MediaStreamTrack | null} */
  #track = null;
  #deviceId;
  #onMuted;

  /**
   * @param {string} deviceId  As enumerateDevices gives it; empty for the default camera.
   * @param {(muted: boolean) => void} onMuted
   *   Told when the camera stops or resumes sending pictures without having ended, as by a
   *   shutter or a call on a phone.
   */
  constructor(deviceId, onMuted) {
    this.#deviceId = deviceId;
    this.#onMuted = onMuted;
  }

  get request() {
    return peerRequest(this.publish);
  }

  /** The camera in use, which may be another than was asked for; empty when none is. */
  get deviceId() {
    return this.#track?.getSettings().deviceId ?? this.#deviceId;
  }

  /**
   * @param {AbortSignal} signal
   * @returns {Promise<Feed>}
   */
  async open(signal) {
    if (this.#track?.readyState !== 'live') {
      const track = await askForCamera(this.#deviceId);
      if (signal.aborted) track.stop();
      signal.throwIfAborted();
      this.#adopt(track);
    }
    const { width = 0, height = 0 } = this.#track?.getSettings() ?? {};
    return { track: this.#track, longestSide: Math.max(width, height) };
  }

  close() {
    this.#track?.stop();
    this.#track = null;
  }

  /** @param {MediaStreamTrack} track */
  #adopt(track) {
    this.#track = track;
    this.label = track.label || 'Camera';
    this.ended = new Promise((resolve) => {
      track.onended = () => resolve(new Problem('camera-lost', { detail: track.label }));
    });
    track.onmute = () => this.#onMuted(true);
    track.onunmute = () => this.#onMuted(false);
  }
}

/** Browsers hide cameras from pages that came over plain http from another machine. */
export function cameraIsHidden() {
  return navigator.mediaDevices?.getUserMedia === undefined;
}

/**
 * The cameras by name; names are known only once a camera has been allowed.
 *
 * @returns {Promise<{deviceId: string, label: string}[]>}
 */
export async function listCameras() {
  const devices = (await navigator.mediaDevices?.enumerateDevices().catch(() => [])) ?? [];
  return devices
    .filter(({ kind, deviceId }) => kind === 'videoinput' && deviceId !== '')
    .map(({ deviceId, label }, index) => ({ deviceId, label: label || `Camera ${index + 1}` }));
}

/** @param {() => void} listener  Called when a camera was plugged in or out. */
export function onCamerasChanged(listener) {
  navigator.mediaDevices?.addEventListener('devicechange', listener);
}

/**
 * @param {string} deviceId
 * @returns {Promise<MediaStreamTrack>}
 */
async function askForCamera(deviceId) {
  if (cameraIsHidden()) {
    throw new Problem('camera-insecure', { detail: `This page: ${location.origin}` });
  }
  /** @type {MediaTrackConstraints} */
  const wanted = {
    width: { ideal: 640 },
    height: { ideal: 480 },
    frameRate: { ideal: 30 },
    ...(deviceId === ''
      ? { facingMode: { ideal: 'environment' } }
      : { deviceId: { exact: deviceId } }),
  };
  try {
    return await firstTrack(wanted);
  } catch (error) {
    if (!(error instanceof DOMException) || error.name !== 'OverconstrainedError') {
      throw cameraProblem(error);
    }
  }
  try {
    return await firstTrack(true);
  } catch (error) {
    throw cameraProblem(error);
  }
}

/** @param {MediaTrackConstraints | true} video */
async function firstTrack(video) {
  const stream = await navigator.mediaDevices.getUserMedia({ video, audio: false });
  return stream.getVideoTracks()[0];
}

/**
 * @param {unknown} error  What getUserMedia rejected with.
 * @returns {Problem}
 */
function cameraProblem(error) {
  const { name, message } = error instanceof Error ? error : new Error(String(error));
  const code = problemCode(name, message);
  return new Problem(code, { detail: code === 'camera-failed' ? message : '', cause: error });
}

/**
 * @param {string} name
 * @param {string} message
 */
function problemCode(name, message) {
  switch (name) {
    case 'NotAllowedError':
      if (/dismissed/i.test(message)) return 'camera-dismissed';
      return /system/i.test(message) ? 'camera-blocked' : 'camera-refused';
    case 'SecurityError':
      return 'camera-refused';
    case 'NotFoundError':
      return 'camera-missing';
    case 'NotReadableError':
    case 'AbortError':
      return 'camera-busy';
    case 'OverconstrainedError':
      return 'camera-unsuitable';
    default:
      return 'camera-failed';
  }
}
