// @ts-check
/** A still picture with a map over it. */

import { MapCanvas } from './map_canvas.js';

/** @typedef {import('./map.js').PictureMap} PictureMap */
/** @typedef {{width: number, height: number}} Shape */

export class Pane {
  element = document.createElement('div');
  #picture = document.createElement('canvas');
  #mapped;

  /**
   * @param {Shape} shape  Of the picture.
   * @param {number} longest  Pixels that its longer side is drawn with at most.
   */
  constructor(shape, longest) {
    const map = document.createElement('canvas');
    map.className = 'map';
    const scale = Math.min(1, longest / Math.max(shape.width, shape.height));
    this.#picture.width = Math.max(1, Math.round(shape.width * scale));
    this.#picture.height = Math.max(1, Math.round(shape.height * scale));
    this.element.className = 'pane';
    this.element.style.setProperty('--shape', String(shape.width / shape.height));
    this.element.append(this.#picture, map);
    this.#mapped = new MapCanvas(map, () => shape);
  }

  /** @param {HTMLImageElement | null} image */
  set picture(image) {
    const { width, height } = this.#picture;
    const context = this.#picture.getContext('2d');
    if (!context) return;
    context.imageSmoothingQuality = 'high';
    if (image) context.drawImage(image, 0, 0, width, height);
    else context.clearRect(0, 0, width, height);
  }

  /** @param {PictureMap | null} map */
  set map(map) {
    this.#mapped.map = map;
  }
}
