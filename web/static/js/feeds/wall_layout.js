// @ts-check
/** The layout of the wall: as many columns as make the pictures about largest in the window. */

/** @typedef {{width: number, height: number}} Size  In CSS pixels. */
/**
 * @typedef {object} Layout
 * @property {number} columns
 * @property {boolean} fits      Whether all tiles are in the window at once; else the page scrolls.
 * @property {number} fontSize   Of the captions, in CSS pixels.
 * @property {number} lines      Of a caption that there is space for.
 */

const PICTURE_SHAPE = 4 / 3;
/** Smaller pictures are of no use: the page scrolls instead. */
const MIN_PICTURE_REM = 8;
/** For a wall with fewer gaps, pictures may be smaller than possible by this factor. */
const ALMOST_LARGEST = 0.9;
/** Of the tiles of a page that scrolls. */
const MIN_TILE_REM = 11;
const LINE_HEIGHT = 1.35;
const PADDING_REM = 0.9;
/** Most captions have no more characters, of about half an em each. */
const USUAL_CAPTION = 70;

/** Lays out the tiles in a wall whenever their number or the window changes. */
export class WallLayout {
  #wall;
  #below;

  /**
   * @param {HTMLElement} wall
   * @param {HTMLElement} below  The only element below the wall.
   */
  constructor(wall, below) {
    this.#wall = wall;
    this.#below = below;
    new ResizeObserver(() => this.update()).observe(document.documentElement);
    addEventListener('resize', () => this.update());
  }

  update() {
    const wall = this.#wall;
    const count = wall.childElementCount;
    if (count === 0) return;
    const rem = parseFloat(getComputedStyle(document.documentElement).fontSize);
    const { top, width } = wall.getBoundingClientRect();
    const below = this.#below.getBoundingClientRect().height;
    const gap = parseFloat(getComputedStyle(wall).columnGap);
    const margin = parseFloat(getComputedStyle(document.body).paddingBottom);
    const height = innerHeight - (top + scrollY) - below - margin;
    const { columns, fits, fontSize, lines } = layOut(count, { width, height }, gap, rem);
    wall.dataset.fits = String(fits);
    wall.style.setProperty('--columns', String(columns));
    wall.style.setProperty('--wall-height', `${height}px`);
    wall.style.setProperty('--caption-size', `${fontSize}px`);
    wall.style.setProperty('--caption-lines', String(lines));
  }
}

/**
 * @param {number} count  Of the tiles.
 * @param {Size} space    For all of them.
 * @param {number} gap    Between two tiles, in CSS pixels.
 * @param {number} rem    In CSS pixels.
 * @returns {Layout}
 */
function layOut(count, { width, height }, gap, rem) {
  const layouts = Array.from({ length: count }, (_, index) => {
    const columns = index + 1;
    const rows = Math.ceil(count / columns);
    const tile = (width - (columns - 1) * gap) / columns;
    const text = textOf(tile, rem);
    const left = (height - (rows - 1) * gap) / rows - text.height;
    const picture = Math.min(tile, left * PICTURE_SHAPE);
    return { columns, picture, empty: rows * columns - count, ...text };
  });
  const largest = Math.max(...layouts.map(({ picture }) => picture));
  const best = layouts
    .filter(({ picture }) => picture >= ALMOST_LARGEST * largest)
    .reduce((one, other) =>
      other.empty < one.empty || (other.empty === one.empty && other.picture > one.picture)
        ? other
        : one,
    );
  if (best.picture >= MIN_PICTURE_REM * rem) return { ...best, fits: true };
  const columns = Math.max(1, Math.floor((width + gap) / (MIN_TILE_REM * rem + gap)));
  const tile = (width - (columns - 1) * gap) / columns;
  return { columns, fits: false, ...textOf(tile, rem) };
}

/**
 * Returns the text of a tile: larger on a larger one.
 *
 * @param {number} tile  Its width.
 * @param {number} rem
 */
function textOf(tile, rem) {
  const fontSize = Math.min(1.5 * rem, Math.max(0.9375 * rem, 0.04 * tile));
  const perLine = Math.max(1, (tile - PADDING_REM * rem) / (0.5 * fontSize));
  const lines = Math.min(3, Math.max(2, Math.ceil(USUAL_CAPTION / perLine)));
  return { fontSize, lines, height: lines * LINE_HEIGHT * fontSize + PADDING_REM * rem };
}
