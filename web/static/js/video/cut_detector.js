// @ts-check
/**
 * Detects cuts in a video that the page shows by itself: the first frame of another scene. The same
 * as `stream/video/cuts.py`, which see for the thresholds.
 */

import { createElement } from '../common/dom.js';

/** Cells of a thumbnail in a row and in a column. */
const SIDE = 32;
/** Mean difference of the cells at a cut, in grey levels, apart from a change of brightness. */
const MIN_DIFFERENCE = 26;
/** Correlation of the two thumbnails at a cut. */
const MAX_CORRELATION = 0.5;
/** Frames further apart are not compared: nobody watched in between. */
const MAX_GAP_MS = 3_000;

export class CutDetector {
  #video;
  #onCut;
  #context;
  /** @type {Float32Array | null} */
  #last = null;
  #lastAt = 0;
  /** The callback that is due at the next frame; 0 if it is not running. */
  #request = 0;

  /**
   * @param {HTMLVideoElement} video
   * @param {() => void} onCut  Called when the first frame of another scene is shown.
   */
  constructor(video, onCut) {
    this.#video = video;
    this.#onCut = onCut;
    const canvas = createElement('canvas', '');
    canvas.width = canvas.height = SIDE;
    this.#context = canvas.getContext('2d', { willReadFrequently: true });
    if (this.#context) this.#context.imageSmoothingQuality = 'medium';
  }

  /** @param {boolean} isRunning */
  set isRunning(isRunning) {
    if (isRunning === this.#request > 0) return;
    if (isRunning) {
      this.#await();
    } else {
      this.#video.cancelVideoFrameCallback(this.#request);
      this.#request = 0;
      this.#last = null;
    }
  }

  #await() {
    this.#request = this.#video.requestVideoFrameCallback((now) => {
      if (this.#isCut(now)) this.#onCut();
      this.#await();
    });
  }

  /** @param {number} now */
  #isCut(now) {
    const luma = this.#luma();
    const last = now - this.#lastAt > MAX_GAP_MS ? null : this.#last;
    this.#last = luma;
    this.#lastAt = now;
    if (luma === null || last === null) return false;
    let [difference, product, norm, lastNorm] = [0, 0, 0, 0];
    luma.forEach((value, at) => {
      const before = last[at] ?? 0;
      difference += Math.abs(value - before);
      product += value * before;
      norm += value * value;
      lastNorm += before * before;
    });
    if (difference / luma.length < MIN_DIFFERENCE) return false;
    const norms = Math.sqrt(norm * lastNorm);
    // A frame without contrast, such as a black one, resembles no scene.
    return (norms > 0 ? product / norms : 0) < MAX_CORRELATION;
  }

  /** Returns the luma of the cells, with a mean of 0. */
  #luma() {
    const context = this.#context;
    if (!context || this.#video.videoWidth === 0) return null;
    context.drawImage(this.#video, 0, 0, SIDE, SIDE);
    const { data } = context.getImageData(0, 0, SIDE, SIDE);
    const luma = new Float32Array(SIDE * SIDE);
    let sum = 0;
    for (let at = 0; at < luma.length; at += 1) {
      const [red = 0, green = 0, blue = 0] = data.subarray(4 * at, 4 * at + 3);
      sum += luma[at] = 0.299 * red + 0.587 * green + 0.114 * blue;
    }
    const mean = sum / luma.length;
    return luma.map((value) => value - mean);
  }
}
