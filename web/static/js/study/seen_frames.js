// @ts-check
/**
 * The frames that a frozen one can be compared with: those that were frozen before, and the last
 * ones before it whose captions differ. They are kept in this page alone, a few at a time.
 */

import { captionText } from '../captions/caption.js';
import { timeWithSeconds } from '../common/format.js';
import { gettext } from '../common/i18n.js';

/** @typedef {import('../captions/caption.js').Caption} Caption */
/** @typedef {import('./explanation_cache.js').ExplanationCache} ExplanationCache */
/**
 * @typedef {object} SeenFrame
 * @property {Caption} caption
 * @property {number} taken  When the frame was captured, in milliseconds since 1970.
 * @property {ExplanationCache} explanations
 * @property {HTMLImageElement} image
 */
/** @typedef {Omit<SeenFrame, 'image'>} CaptionedFrame */

const MAX_SEEN = 6;
/** The server keeps the frames of its last captions, of which the frozen one may be the newest. */
const RECENT = 3;

export class SeenFrames {
  /** The last captions, the newest first. @type {CaptionedFrame[]} */
  #recent = [];
  /** Newest first. @type {SeenFrame[]} */
  #seen = [];

  /** @param {CaptionedFrame} frame  Of the newest caption. */
  addRecent(frame) {
    this.#recent = [frame, ...this.#recent].slice(0, RECENT);
  }

  /**
   * Keeps a frozen frame, and loads recent ones to compare it with.
   *
   * @param {SeenFrame} frozen
   * @param {(seq: number) => string} pathOf  Of a caption's frame on the server.
   */
  async freeze(frozen, pathOf) {
    this.#add(frozen);
    const text = captionText(frozen.caption);
    const others = this.#recent.filter(
      ({ caption }) =>
        caption.seq !== frozen.caption.seq &&
        caption.maps !== null &&
        captionText(caption) !== text,
    );
    await Promise.all(
      others.map(async (frame) => {
        const image = new Image();
        image.src = pathOf(frame.caption.seq);
        // The server may have dropped it meanwhile.
        if (
          await image.decode().then(
            () => true,
            () => false,
          )
        )
          this.#add({ ...frame, image });
      }),
    );
  }

  /**
   * @param {Caption} caption
   * @returns {SeenFrame[]}  All but the caption's own, the newest first.
   */
  besides({ seq }) {
    return this.#seen.filter((frame) => frame.caption.seq !== seq);
  }

  clear() {
    this.#recent = this.#seen = [];
  }

  /** @param {SeenFrame} frame */
  #add(frame) {
    const { seq } = frame.caption;
    const others = this.#seen.filter(({ caption }) => caption.seq !== seq);
    const sorted = [frame, ...others].sort((one, other) => other.caption.seq - one.caption.seq);
    this.#seen = sorted.slice(0, MAX_SEEN);
  }
}

/** @param {SeenFrame} frame @returns {string}  Names it in a list. */
export function frameTitle({ caption, taken }) {
  const values = { time: timeWithSeconds(taken), caption: captionText(caption) };
  return gettext('{time} “{caption}”', values);
}
