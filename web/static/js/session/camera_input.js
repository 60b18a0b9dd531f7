// @ts-check
/** A camera of this device as an input, and the list of its cameras. */

import { gettext } from '../common/i18n.js';
import { peerRequest } from './inputs.js';
import { Problem } from './problems.js';

/** @typedef {import('./inputs.js').Input} Input */
/** @typedef {import('./inputs.js').InputVideo} InputVideo */
/** @typedef {import('./problems.js').ProblemCode} ProblemCode */

/** @implements {Input} */
export class CameraInput {
  kind = /** @type {const} */ ('camera');
  label = gettext('Camera');
  /** The name to publish the session under; empty for none. */
  publish = '';
  /** @type {Promise<Problem>} */
  ended = new Promise(() => {});
  /** @type {MediaStreamTrack | null} */
  #track = null;
  #deviceId;
  #onMuted;

  /**
   * @param {string} deviceId  From `enumerateDevices`; empty for the default camera.
   * @param {(muted: boolean) => void} onMuted
   *   Called when the camera stops or resumes sending frames without ending, for example because
   *   of a shutter or a phone call.
   */
  constructor(deviceId, onMuted) {
    this.#deviceId = deviceId;
    this.#onMuted = onMuted;
  }

  get request() {
    return peerRequest(this.publish);
  }

  /** The id of the camera in use, which may differ from the requested one. */
  get deviceId() {
    return this.#track?.getSettings().deviceId ?? this.#deviceId;
  }

  /**
   * @param {AbortSignal} signal
   * @returns {Promise<InputVideo>}
   */
  async open(signal) {
    if (this.#track?.readyState !== 'live') {
      const track = await requestCamera(this.#deviceId);
      if (signal.aborted) track.stop();
      signal.throwIfAborted();
      this.#useTrack(track);
    }
    const { width = 0, height = 0 } = this.#track?.getSettings() ?? {};
    return { track: this.#track, longestSide: Math.max(width, height) };
  }

  close() {
    this.#track?.stop();
    this.#track = null;
  }

  /** @param {MediaStreamTrack} track */
  #useTrack(track) {
    this.#track = track;
    this.label = track.label || gettext('Camera');
    this.ended = new Promise((resolve) => {
      track.onended = () => resolve(new Problem('camera-lost', { subject: track.label }));
    });
    track.onmute = () => this.#onMuted(true);
    track.onunmute = () => this.#onMuted(false);
  }
}

/**
 * Returns whether the browser can give this page a camera: `mediaDevices` exists in secure
 * contexts only (HTTPS, or localhost).
 */
export function isCameraAvailable() {
  return mediaDevices() !== null;
}

/**
 * Lists the cameras. Browsers give no labels until a camera has been allowed.
 *
 * @returns {Promise<{deviceId: string, label: string}[]>}
 */
export async function listCameras() {
  const devices =
    (await mediaDevices()
      ?.enumerateDevices()
      .catch(() => [])) ?? [];
  return devices
    .filter(({ kind, deviceId }) => kind === 'videoinput' && deviceId !== '')
    .map(({ deviceId, label }, index) => ({
      deviceId,
      label: label || gettext('Camera {number}', { number: index + 1 }),
    }));
}

/** @param {() => void} listener  Called when a camera was connected or disconnected. */
export function onCamerasChanged(listener) {
  mediaDevices()?.addEventListener('devicechange', listener);
}

/** @returns {MediaDevices | null}  Null outside secure contexts. */
function mediaDevices() {
  const { mediaDevices: devices } = /** @type {Partial<Navigator>} */ (navigator);
  return typeof devices?.getUserMedia === 'function' ? devices : null;
}

/**
 * @param {string} deviceId
 * @returns {Promise<MediaStreamTrack>}
 */
async function requestCamera(deviceId) {
  const devices = mediaDevices();
  if (devices === null) {
    throw new Problem('camera-insecure', {
      subject: gettext('This page: {address}', { address: location.origin }),
    });
  }
  /** @type {MediaTrackConstraints} */
  const constraints = {
    width: { ideal: 640 },
    height: { ideal: 480 },
    frameRate: { ideal: 30 },
    ...(deviceId === ''
      ? { facingMode: { ideal: 'environment' } }
      : { deviceId: { exact: deviceId } }),
  };
  try {
    return await firstTrack(devices, constraints);
  } catch (error) {
    if (!(error instanceof DOMException) || error.name !== 'OverconstrainedError') {
      throw cameraProblem(error);
    }
  }
  try {
    return await firstTrack(devices, true);
  } catch (error) {
    throw cameraProblem(error);
  }
}

/**
 * @param {MediaDevices} devices
 * @param {MediaTrackConstraints | true} video
 * @returns {Promise<MediaStreamTrack>}
 */
async function firstTrack(devices, video) {
  const [track] = (await devices.getUserMedia({ video, audio: false })).getVideoTracks();
  if (!track) throw new DOMException('The stream has no video track.', 'NotFoundError');
  return track;
}

/**
 * @param {unknown} error  From `getUserMedia`.
 * @returns {Problem}
 */
function cameraProblem(error) {
  const { name, message } = error instanceof Error ? error : new Error(String(error));
  const code = problemCode(name, message);
  return new Problem(code, { detail: code === 'camera-failed' ? message : '', cause: error });
}

/**
 * @param {string} name  Of the DOMException.
 * @param {string} message
 * @returns {ProblemCode}
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
