// @ts-check
/** Canvases that heat maps are painted on: over the live video, or over a still image. */

import { createElement } from '../common/dom.js';
import { COLORMAP } from './colormap.js';
import { isBlank, isFine, topLevel } from './heat_map.js';
import { contour, upsample } from './scalar_field.js';

/** @typedef {import('./heat_map.js').HeatMap} HeatMap */
/** @typedef {import('./scalar_field.js').ScalarField} ScalarField */
/** @typedef {{width: number, height: number}} Size */

/** Points along the longer side; the browser interpolates between them. */
const FIELD_POINTS = 192;
const CONTOUR_LEVEL = 0.5;
/** Contour lines are thinner on a frame whose longer side has fewer CSS pixels. */
const FULL_WIDTH_LENGTH = 400;
/** White text on its dark band keeps a contrast of 5:1 under such a map, even if the frame is white. */
const OPACITY_OVER_TEXT = 0.15;
const DARK_LINE = { width: 4, style: 'rgb(10 12 13 / 70%)' };
const LIGHT_LINE = { width: 1.75, style: 'rgb(246 245 239 / 95%)' };

/** Paints one heat map on a canvas that covers a frame. */
export class MapCanvas {
  #canvas;
  #frameSize;
  /** @type {HeatMap | null} */
  #map = null;
  #textTop = 1;

  /**
   * @param {HTMLCanvasElement} canvas  Has the same box as the frame and `object-fit: contain` too,
   *   so that it covers exactly what the frame covers.
   * @param {() => Size} frameSize  In any unit.
   */
  constructor(canvas, frameSize) {
    this.#canvas = canvas;
    this.#frameSize = frameSize;
    new ResizeObserver(() => this.paint()).observe(canvas);
  }

  /** @param {HeatMap | null} map  Null clears the canvas. */
  set map(map) {
    if (map === this.#map) return;
    this.#map = map;
    this.paint();
  }

  /**
   * Top of the text that the frame carries, as a fraction of its height. The map is faint from there
   * on, so that the text stays legible.
   */
  get textTop() {
    return this.#textTop;
  }

  set textTop(top) {
    if (top === this.#textTop) return;
    this.#textTop = top;
    this.paint();
  }

  /** The frame's size on the page in CSS pixels, by `object-fit: contain`. @returns {Size} */
  get #displayedSize() {
    const { clientWidth, clientHeight } = this.#canvas;
    const { width, height } = this.#frameSize();
    const scale = Math.min(clientWidth / width, clientHeight / height);
    return Number.isFinite(scale)
      ? { width: width * scale, height: height * scale }
      : { width: 0, height: 0 };
  }

  /** Repaints the map, after the frame's or the canvas's size has changed. */
  paint() {
    const canvas = this.#canvas;
    const { width, height } = this.#displayedSize;
    canvas.dataset.painted = 'false';
    if (this.#map === null || isBlank(this.#map) || width === 0) {
      canvas.width = canvas.height = 1;
      return;
    }
    canvas.width = Math.max(1, Math.round(width * devicePixelRatio));
    canvas.height = Math.max(1, Math.round(height * devicePixelRatio));
    paintMap(canvas, this.#map);
    fade(canvas, Math.floor(this.#textTop * canvas.height));
    canvas.dataset.painted = 'true';
  }
}

/** A still image with a heat map over it. */
export class MappedImage {
  element = createElement('div', 'map-image');
  #canvas = createElement('canvas', '');
  #mapCanvas;

  /**
   * @param {Size} size  Of the image; only the aspect ratio counts.
   * @param {number} maxLength  The most pixels that the longer side is drawn with.
   */
  constructor(size, maxLength) {
    const map = createElement('canvas', 'map');
    const scale = Math.min(1, maxLength / Math.max(size.width, size.height));
    this.#canvas.width = Math.max(1, Math.round(size.width * scale));
    this.#canvas.height = Math.max(1, Math.round(size.height * scale));
    this.element.style.setProperty('--shape', String(size.width / size.height));
    this.element.append(this.#canvas, map);
    this.#mapCanvas = new MapCanvas(map, () => size);
  }

  /** @param {HTMLImageElement | null} image */
  set image(image) {
    const { width, height } = this.#canvas;
    const context = this.#canvas.getContext('2d');
    if (!context) return;
    context.imageSmoothingQuality = 'high';
    if (image) context.drawImage(image, 0, 0, width, height);
    else context.clearRect(0, 0, width, height);
  }

  /** @param {HeatMap | null} map */
  set map(map) {
    this.#mapCanvas.map = map;
  }
}

/**
 * @param {HTMLCanvasElement} canvas
 * @param {HeatMap} map
 */
function paintMap(canvas, map) {
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
  // Contour lines around single pixels would hide them.
  if (isFine(map)) return;
  const line = contour(field, CONTOUR_LEVEL, width, height);
  context.lineCap = context.lineJoin = 'round';
  const length = Math.max(width, height) / devicePixelRatio;
  const widthScale = Math.max(0.5, Math.min(1, length / FULL_WIDTH_LENGTH));
  for (const { width: cssPixels, style } of [DARK_LINE, LIGHT_LINE]) {
    context.lineWidth = cssPixels * widthScale * devicePixelRatio;
    context.strokeStyle = style;
    context.stroke(line);
  }
}

/**
 * Fades what is painted below a row.
 *
 * @param {HTMLCanvasElement} canvas
 * @param {number} row
 */
function fade(canvas, row) {
  const context = canvas.getContext('2d');
  if (!context || row >= canvas.height) return;
  context.globalCompositeOperation = 'destination-in';
  context.fillStyle = `rgb(0 0 0 / ${OPACITY_OVER_TEXT})`;
  // The composition affects everything outside the rectangle too, unless it is clipped.
  const area = new Path2D();
  area.rect(0, row, canvas.width, canvas.height - row);
  context.clip(area);
  context.fill(area);
}

/** @param {ScalarField} field */
function coloured({ width, height, values }) {
  const canvas = createElement('canvas', '');
  [canvas.width, canvas.height] = [width, height];
  const image = new ImageData(width, height);
  values.forEach((value, at) => {
    const step = 4 * Math.round(255 * value);
    image.data.set(COLORMAP.subarray(step, step + 4), 4 * at);
  });
  canvas.getContext('2d')?.putImageData(image, 0, 0);
  return canvas;
}
