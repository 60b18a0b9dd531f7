// @ts-check
/** A canvas that a map is painted on, as large as the picture that it lies over is shown. */

import { contour } from './contour.js';
import { isBlank, isFine, topLevel } from './map.js';
import { RAMP } from './ramp.js';
import { upsample } from './upsampling.js';

/** @typedef {import('./map.js').PictureMap} PictureMap */

/** Points along the longer side; between them the browser interpolates. */
const FIELD_POINTS = 192;
const CONTOUR_LEVEL = 0.5;
/** Widths in CSS pixels on a picture of this length and longer; thinner on a smaller one. */
const USUAL_LENGTH = 400;
const DARK_LINE = { width: 4, style: 'rgb(10 12 13 / 70%)' };
const LIGHT_LINE = { width: 1.75, style: 'rgb(246 245 239 / 95%)' };

const NOTHING = { width: 0, height: 0 };

export class MapCanvas {
  #canvas;
  #shape;
  /** @type {PictureMap | null} */
  #map = null;

  /**
   * @param {HTMLCanvasElement} canvas  Its box is the picture's, and its `object-fit` is `contain`
   *   too: so it lies over exactly what the picture covers of the box.
   * @param {() => {width: number, height: number}} shape  Of the picture, in any unit.
   */
  constructor(canvas, shape) {
    this.#canvas = canvas;
    this.#shape = shape;
    new ResizeObserver(() => this.paint()).observe(canvas);
  }

  /** @param {PictureMap | null} map  None clears the canvas. */
  set map(map) {
    if (map === this.#map) return;
    this.#map = map;
    this.paint();
  }

  /**
   * @param {DOMRect} place  On the page.
   * @returns {number}  The highest value of the cells that lie under it, 0 to 1.
   */
  highestUnder(place) {
    if (this.#map === null) return 0;
    const { rows, columns, levels } = this.#map;
    const { width, height } = this.#shown;
    const box = this.#canvas.getBoundingClientRect();
    const left = box.left + (box.width - width) / 2;
    const top = box.top + (box.height - height) / 2;
    const from = ((place.left - left) / width) * columns - 1;
    const to = ((place.right - left) / width) * columns;
    return levels.reduce((highest, level, at) => {
      const [row, column] = [Math.floor(at / columns), at % columns];
      const isUnder =
        column > from &&
        column < to &&
        row > ((place.top - top) / height) * rows - 1 &&
        row < ((place.bottom - top) / height) * rows;
      return isUnder ? Math.max(highest, level / 255) : highest;
    }, 0);
  }

  /** How large the picture is shown, in CSS pixels: as `object-fit: contain` has it. */
  get #shown() {
    const { clientWidth, clientHeight } = this.#canvas;
    const { width, height } = this.#shape();
    const fit = Math.min(clientWidth / width, clientHeight / height);
    return Number.isFinite(fit) ? { width: width * fit, height: height * fit } : NOTHING;
  }

  /** Paints anew, for the picture or its place may have another shape. */
  paint() {
    const canvas = this.#canvas;
    const { width, height } = this.#shown;
    canvas.dataset.painted = 'false';
    if (this.#map === null || isBlank(this.#map) || width === 0) {
      canvas.width = canvas.height = 1;
      return;
    }
    canvas.width = Math.max(1, Math.round(width * devicePixelRatio));
    canvas.height = Math.max(1, Math.round(height * devicePixelRatio));
    paint(canvas, this.#map);
    canvas.dataset.painted = 'true';
  }
}

/**
 * @param {HTMLCanvasElement} canvas
 * @param {PictureMap} map
 */
function paint(canvas, map) {
  const context = canvas.getContext('2d');
  if (!context) return;
  const { width, height } = canvas;
  const scale = Math.min(1, FIELD_POINTS / Math.max(width, height));
  const field = upsample(
    map,
    Math.max(1, Math.round(width * scale)),
    Math.max(1, Math.round(height * scale)),
    topLevel(map),
  );
  context.imageSmoothingQuality = 'high';
  context.drawImage(coloured(field), 0, 0, width, height);
  // Around single pixels it would hide them.
  if (isFine(map)) return;
  const line = contour(field, CONTOUR_LEVEL, width, height);
  context.lineCap = context.lineJoin = 'round';
  const fine = Math.min(1, Math.max(width, height) / devicePixelRatio / USUAL_LENGTH);
  for (const { width: cssPixels, style } of [DARK_LINE, LIGHT_LINE]) {
    context.lineWidth = cssPixels * Math.max(0.5, fine) * devicePixelRatio;
    context.strokeStyle = style;
    context.stroke(line);
  }
}

/** @param {import('./upsampling.js').Field} field */
function coloured({ width, height, values }) {
  const canvas = document.createElement('canvas');
  [canvas.width, canvas.height] = [width, height];
  const image = new ImageData(width, height);
  values.forEach((value, at) => {
    const step = 4 * Math.round(255 * value);
    image.data.set(RAMP.subarray(step, step + 4), 4 * at);
  });
  canvas.getContext('2d')?.putImageData(image, 0, 0);
  return canvas;
}
