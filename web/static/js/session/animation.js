// @ts-check
/** Animated images (GIF, WebP, PNG, AVIF), played in a loop. */

/** Browsers show frames of a shorter duration for the default duration. */
const MIN_DURATION_MS = 20;
const DEFAULT_DURATION_MS = 100;

/** An animation whose current frame can be drawn at any time. */
export class Animation {
  #decoder;
  #count;
  /** @type {VideoFrame} */
  #frame;
  #closed = false;

  /**
   * @param {ImageDecoder} decoder
   * @param {number} count  Of frames.
   * @param {VideoFrame} first
   */
  constructor(decoder, count, first) {
    this.#decoder = decoder;
    this.#count = count;
    this.#frame = first;
    void this.#play();
  }

  /**
   * Opens an image that is animated.
   *
   * @param {Blob} file
   * @returns {Promise<Animation | null>}
   *   Null if the image is not animated, or the browser plays animations only in elements.
   */
  static async open(file) {
    if (!('ImageDecoder' in globalThis) || !(await ImageDecoder.isTypeSupported(file.type))) {
      return null;
    }
    const decoder = new ImageDecoder({
      data: await file.arrayBuffer(),
      type: file.type,
      preferAnimation: true,
    });
    try {
      await Promise.all([decoder.tracks.ready, decoder.completed]);
      const count = decoder.tracks.selectedTrack?.frameCount ?? 0;
      if (count > 1) {
        const { image } = await decoder.decode({ frameIndex: 0 });
        return new Animation(decoder, count, image);
      }
    } catch {
      // Damaged; as a still image its first frame may be intact.
    }
    decoder.close();
    return null;
  }

  get frame() {
    return this.#frame;
  }

  close() {
    this.#closed = true;
    this.#frame.close();
    this.#decoder.close();
  }

  async #play() {
    for (let next = 1; ; next = (next + 1) % this.#count) {
      await new Promise((resolve) => setTimeout(resolve, durationMs(this.#frame)));
      if (this.#closed) return;
      try {
        const { image } = await this.#decoder.decode({ frameIndex: next });
        if (this.#closed) image.close();
        else this.#show(image);
      } catch {
        // A damaged frame, or closed meanwhile: the last frame stays.
      }
    }
  }

  /** @param {VideoFrame} frame */
  #show(frame) {
    this.#frame.close();
    this.#frame = frame;
  }
}

/** @param {VideoFrame} frame */
function durationMs({ duration }) {
  const ms = (duration ?? 0) / 1000;
  return ms < MIN_DURATION_MS ? DEFAULT_DURATION_MS : ms;
}
