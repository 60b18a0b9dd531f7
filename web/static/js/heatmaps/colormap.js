// @ts-check
/**
 * The colour map of heat maps: viridis, which colour-blind readers can tell apart and whose
 * lightness increases throughout, with an opacity that rises with the value, so that the frame
 * shows through. `inference/explanations` has the same colours.
 */

/** @typedef {[red: number, green: number, blue: number]} Colour  0 to 255 each. */

/**
 * Viridis (Smith, van der Walt & Firing, matplotlib 1.5, 2015, CC0) at every eighth of its length.
 *
 * @type {Colour[]}
 */
const VIRIDIS = [
  [68, 1, 84],
  [71, 45, 123],
  [59, 82, 139],
  [44, 114, 142],
  [33, 145, 140],
  [40, 174, 128],
  [94, 201, 98],
  [173, 220, 48],
  [253, 231, 37],
];
const MOST_OPAQUE = 0.74;
const STEPS = 256;

/** RGBA values, 0 to 255 each, of 256 steps from 0 to the peak. */
export const COLORMAP = Uint8ClampedArray.from(
  Array.from({ length: STEPS }, (_, step) => rgba(step / (STEPS - 1))).flat(),
);

/** Returns the colour map as a CSS gradient from left to right. */
export function colormapGradient() {
  const stops = Array.from({ length: 17 }, (_, stop) => {
    const [red, green, blue, opacity] = rgba(stop / 16);
    return `rgb(${red} ${green} ${blue} / ${(opacity / 255).toFixed(3)})`;
  });
  return `linear-gradient(90deg, ${stops.join(', ')})`;
}

/**
 * @param {number} value  0 to 1.
 * @returns {[red: number, green: number, blue: number, opacity: number]}
 */
function rgba(value) {
  const position = value * (VIRIDIS.length - 1);
  const before = Math.min(VIRIDIS.length - 2, Math.floor(position));
  const [from, to] = /** @type {[Colour, Colour]} */ (VIRIDIS.slice(before, before + 2));
  const mix = (/** @type {0 | 1 | 2} */ channel) =>
    Math.round(from[channel] + (to[channel] - from[channel]) * (position - before));
  return [mix(0), mix(1), mix(2), 255 * MOST_OPAQUE * value ** 0.7];
}
