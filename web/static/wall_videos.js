// @ts-check
/** Which tiles of the wall play: those in view, so many at once, and none of a page unseen. */

/** @typedef {import('./wall_tile.js').WallTile} WallTile */

/** Each takes the browser a decoder and the server a viewer's place. */
export const MOST_VIDEOS = 6;
/** Whoever scrolls past a tile starts nothing. */
const SETTLE_MS = 300;

export class WallVideos {
  /** @type {Map<Element, WallTile>} */
  #tiles = new Map();
  #observer = new IntersectionObserver((entries) => this.#see(entries), { threshold: 0.25 });
  #isLeft = false;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #settling;

  constructor() {
    document.addEventListener('visibilitychange', () => this.#settle());
    addEventListener('pagehide', () => {
      this.#isLeft = true;
      this.#choose();
    });
    addEventListener('pageshow', () => {
      this.#isLeft = false;
      this.#settle();
    });
    addEventListener('online', () => {
      for (const tile of this.#tiles.values()) tile.tryNow();
    });
  }

  /** @param {WallTile} tile */
  add(tile) {
    this.#tiles.set(tile.item, tile);
    this.#observer.observe(tile.item);
  }

  /** @param {WallTile} tile */
  remove(tile) {
    tile.stop();
    this.#observer.unobserve(tile.item);
    this.#tiles.delete(tile.item);
    this.#settle();
  }

  /** @param {IntersectionObserverEntry[]} entries */
  #see(entries) {
    for (const { target, isIntersecting } of entries) {
      const tile = this.#tiles.get(target);
      if (tile) tile.isSeen = isIntersecting;
    }
    this.#settle();
  }

  #settle() {
    clearTimeout(this.#settling);
    this.#settling = setTimeout(() => this.#choose(), SETTLE_MS);
  }

  #choose() {
    const isUnseen = this.#isLeft || document.hidden;
    const seen = [...this.#tiles.values()].filter(({ isSeen }) => isSeen && !isUnseen);
    const playing = new Set(seen.slice(0, MOST_VIDEOS));
    for (const tile of this.#tiles.values()) {
      if (!playing.has(tile)) tile.stop();
    }
    for (const tile of playing) tile.play();
  }
}
