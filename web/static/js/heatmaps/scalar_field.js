// @ts-check
/** A heat map as a smooth scalar field: bicubic upsampling and contour lines. */

/** @typedef {import('./heat_map.js').HeatMap} HeatMap */
/**
 * @typedef {object} ScalarField
 * @property {number} width
 * @property {number} height
 * @property {Float32Array} values  0 to 1, row by row.
 */

/**
 * Upsamples a map by cubic convolution (Keys, "Cubic convolution interpolation for digital image
 * processing", IEEE TASSP 29, 1981). At the centre of a cell the value is the cell's own.
 *
 * @param {HeatMap} map
 * @param {number} width   Points from left to right.
 * @param {number} height
 * @param {number} top     The level that becomes 1.
 * @returns {ScalarField}
 */
export function upsample({ rows, columns, levels }, width, height, top) {
  const columnWeights = interpolationWeights(columns, width);
  const wide = new Float32Array(rows * width);
  for (let row = 0; row < rows; row++) {
    columnWeights.forEach((weights, x) => {
      let sum = 0;
      for (const { cell, weight } of weights) sum += weight * (levels[row * columns + cell] ?? 0);
      wide[row * width + x] = sum / top;
    });
  }
  const values = new Float32Array(width * height);
  interpolationWeights(rows, height).forEach((weights, y) => {
    for (let x = 0; x < width; x++) {
      let sum = 0;
      for (const { cell, weight } of weights) sum += weight * (wide[cell * width + x] ?? 0);
      values[y * width + x] = Math.min(1, Math.max(0, sum));
    }
  });
  return { width, height, values };
}

/**
 * @param {number} cells
 * @param {number} points
 * @returns {{cell: number, weight: number}[][]}  For each point, four cells and their weights.
 */
function interpolationWeights(cells, points) {
  return Array.from({ length: points }, (_, point) => {
    const position = ((point + 0.5) * cells) / points - 0.5;
    const before = Math.floor(position);
    const t = position - before;
    const weights = [
      0.5 * (-(t ** 3) + 2 * t ** 2 - t),
      0.5 * (3 * t ** 3 - 5 * t ** 2 + 2),
      0.5 * (-3 * t ** 3 + 4 * t ** 2 + t),
      0.5 * (t ** 3 - t ** 2),
    ];
    return weights.map((weight, k) => ({
      cell: Math.min(cells - 1, Math.max(0, before + k - 1)),
      weight,
    }));
  });
}

/**
 * Traces the line along which a field has one value, by marching squares (Lorensen & Cline,
 * "Marching cubes", SIGGRAPH 1987, in two dimensions).
 *
 * @param {ScalarField} field
 * @param {number} level
 * @param {number} width   Of the canvas that the field covers, in its pixels.
 * @param {number} height
 */
export function contour(field, level, width, height) {
  const path = new Path2D();
  const [scaleX, scaleY] = [width / field.width, height / field.height];
  const valueAt = (/** @type {number} */ x, /** @type {number} */ y) =>
    field.values[y * field.width + x] ?? 0;
  for (let y = 0; y + 1 < field.height; y++) {
    for (let x = 0; x + 1 < field.width; x++) {
      const a = valueAt(x, y);
      const b = valueAt(x + 1, y);
      const c = valueAt(x + 1, y + 1);
      const d = valueAt(x, y + 1);
      /** @type {{x: number, y: number}[]} */
      const ends = [];
      if (a >= level !== b >= level) ends.push({ x: x + crossing(a, b, level), y });
      if (b >= level !== c >= level) ends.push({ x: x + 1, y: y + crossing(b, c, level) });
      if (c >= level !== d >= level) ends.push({ x: x + crossing(d, c, level), y: y + 1 });
      if (d >= level !== a >= level) ends.push({ x, y: y + crossing(a, d, level) });
      ends.forEach((end, index) => {
        const [canvasX, canvasY] = [(end.x + 0.5) * scaleX, (end.y + 0.5) * scaleY];
        if (index % 2 === 0) path.moveTo(canvasX, canvasY);
        else path.lineTo(canvasX, canvasY);
      });
    }
  }
  return path;
}

/**
 * Returns where between two values the level lies, 0 to 1.
 *
 * @param {number} from
 * @param {number} to
 * @param {number} level
 */
function crossing(from, to, level) {
  return (level - from) / (to - from);
}
