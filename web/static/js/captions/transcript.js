// @ts-check
/** The captions of a session, for the user to keep: as plain text or as WebVTT subtitles (W3C). */

import { captionText } from './caption.js';

/** @typedef {import('./caption.js').Caption} Caption */
/** @typedef {{text: string, first: number, last: number}} Entry  Times in ms since 1970. */

/** Some hours of captions that change with each frame. */
const MAX_ENTRIES = 10_000;
/** A cue lasts until the next one, unless captions paused for longer in between. */
const MAX_GAP_MS = 15_000;
const LAST_CUE_MS = 2_000;

export class Transcript {
  /** The oldest first. @type {Entry[]} */
  #entries = [];

  /** Equal captions that follow each other. */
  get length() {
    return this.#entries.length;
  }

  /**
   * @param {Caption} caption
   * @param {Date} time  When its frame was captured.
   */
  add(caption, time) {
    const text = captionText(caption);
    const at = time.getTime();
    const newest = this.#entries.at(-1);
    if (newest?.text === text) {
      newest.last = Math.max(newest.last, at);
      return;
    }
    this.#entries.push({ text, first: at, last: at });
    if (this.#entries.length > MAX_ENTRIES) this.#entries.shift();
  }

  clear() {
    this.#entries = [];
  }

  /** Returns one line per caption, with its local time. */
  toText() {
    return this.#entries.map(({ text, first }) => `${localTime(first)}  ${text}\n`).join('');
  }

  /** Returns WebVTT, whose times count from the first caption. */
  toWebVtt() {
    const start = this.#entries[0]?.first ?? 0;
    const cues = this.#entries.map(({ text, first, last }, index) => {
      const next = this.#entries[index + 1]?.first;
      const end = next !== undefined && next - last <= MAX_GAP_MS ? next : last + LAST_CUE_MS;
      const times = `${timestamp(first - start)} --> ${timestamp(Math.max(end, first + 1) - start)}`;
      return `\n${times}\n${escapeCue(text)}\n`;
    });
    return `WEBVTT\n\nNOTE The first caption is of ${new Date(start).toISOString()}.\n${cues.join('')}`;
  }
}

/** @param {number} time @returns {string}  Such as "2026-11-30 09:05:07". */
function localTime(time) {
  const local = new Date(time - new Date(time).getTimezoneOffset() * 60_000);
  return local.toISOString().slice(0, 19).replace('T', ' ');
}

/** @param {number} ms @returns {string}  Such as "01:02:03.004". */
function timestamp(ms) {
  const [hours, minutes, seconds] = [3_600_000, 60_000, 1000].map((unit, index) =>
    String(Math.floor(ms / unit) % (index === 0 ? Infinity : 60)).padStart(2, '0'),
  );
  return `${hours}:${minutes}:${seconds}.${String(Math.floor(ms % 1000)).padStart(3, '0')}`;
}

/** @param {string} text */
function escapeCue(text) {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}
