// @ts-check
/**
 * A grid made smooth: cubic convolution (Keys, "Cubic convolution interpolation for digital image
 * processing", IEEE TASSP 29, 1981) through the middles of the cells, so that where a cell's
 * middle lies the value is the cell's own.
 */

/** @typedef {import('./map.js').PictureMap} PictureMap */
/** @typedef {{width: number, height: number, values: Float32Array}} Field */

/**
 * @param {PictureMap} map
 * @param {number} width   Points from left to right; each stands in the middle of its share.
 * @param {number} height
 * @param {number} top     The level that becomes 1.
 * @returns {Field}  Values of 0 to 1, row after row.
 */
export function upsample({ rows, columns, levels }, width, height, top) {
  const across = weightsOf(columns, width);
  const wide = new Float32Array(rows * width);
  for (let row = 0; row < rows; row++) {
    across.forEach(({ cells, weights }, x) => {
      let sum = 0;
      for (let k = 0; k < 4; k++) sum += weights[k] * levels[row * columns + cells[k]];
      wide[row * width + x] = sum / top;
    });
  }
  const values = new Float32Array(width * height);
  weightsOf(rows, height).forEach(({ cells, weights }, y) => {
    for (let x = 0; x < width; x++) {
      let sum = 0;
      for (let k = 0; k < 4; k++) sum += weights[k] * wide[cells[k] * width + x];
      values[y * width + x] = Math.min(1, Math.max(0, sum));
    }
  });
  return { width, height, values };
}

/**
 * @param {number} cells
 * @param {number} points
 */
function weightsOf(cells, points) {
  return Array.from({ length: points }, (_, point) => {
    const place = ((point + 0.5) * cells) / points - 0.5;
    const before = Math.floor(place);
    const t = place - before;
    return {
      cells: [-1, 0, 1, 2].map((k) => Math.min(cells - 1, Math.max(0, before + k))),
      weights: [
        0.5 * (-(t ** 3) + 2 * t ** 2 - t),
        0.5 * (3 * t ** 3 - 5 * t ** 2 + 2),
        0.5 * (-3 * t ** 3 + 4 * t ** 2 + t),
        0.5 * (t ** 3 - t ** 2),
      ],
    };
  });
}
