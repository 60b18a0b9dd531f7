// @ts-check
/**
 * The line along which a field has one value: marching squares (Lorensen & Cline, "Marching
 * cubes", SIGGRAPH 1987, in two dimensions).
 */

/** @typedef {import('./upsampling.js').Field} Field */

/**
 * @param {Field} field
 * @param {number} level
 * @param {number} width   Of the canvas that the field covers, in its pixels.
 * @param {number} height
 */
export function contour({ values, ...field }, level, width, height) {
  const path = new Path2D();
  const [stepX, stepY] = [width / field.width, height / field.height];
  /** @param {number} from @param {number} to */
  const crossing = (from, to) => (level - from) / (to - from);
  for (let y = 0; y + 1 < field.height; y++) {
    for (let x = 0; x + 1 < field.width; x++) {
      const at = y * field.width + x;
      const [a, b] = [values[at], values[at + 1]];
      const [d, c] = [values[at + field.width], values[at + field.width + 1]];
      const ends = [];
      if (a >= level !== b >= level) ends.push([x + crossing(a, b), y]);
      if (b >= level !== c >= level) ends.push([x + 1, y + crossing(b, c)]);
      if (c >= level !== d >= level) ends.push([x + crossing(d, c), y + 1]);
      if (d >= level !== a >= level) ends.push([x, y + crossing(a, d)]);
      for (let end = 0; end + 1 < ends.length; end += 2) {
        path.moveTo((ends[end][0] + 0.5) * stepX, (ends[end][1] + 0.5) * stepY);
        path.lineTo((ends[end + 1][0] + 0.5) * stepX, (ends[end + 1][1] + 0.5) * stepY);
      }
    }
  }
  return path;
}
