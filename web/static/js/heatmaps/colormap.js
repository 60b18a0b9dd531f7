// @ts-check
/**
 * What a value looks like: a colour that the colour-blind can tell apart as well and that grows
 * lighter all the way, and an opacity that rises with it, so that the picture is seen through.
 */

/**
 * Viridis (Smith, van der Walt & Firing, matplotlib 1.5, 2015, CC0) at every eighth of its length.
 *
 * @type {[number, number, number][]}
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

/** Red, green, blue and opacity, 0 to 255 each, of 256 values from 0 to the peak. */
export const RAMP = Uint8ClampedArray.from(
  Array.from({ length: STEPS }, (_, step) => shade(step / (STEPS - 1))).flat(),
);

/** The ramp from left to right, as CSS has it. */
export function rampGradient() {
  const stops = Array.from({ length: 17 }, (_, stop) => {
    const [red, green, blue, opacity] = shade(stop / 16);
    return `rgb(${red} ${green} ${blue} / ${(opacity / 255).toFixed(3)})`;
  });
  return `linear-gradient(90deg, ${stops.join(', ')})`;
}

/** @param {number} value  0 to 1. */
function shade(value) {
  const place = value * (VIRIDIS.length - 1);
  const before = Math.min(VIRIDIS.length - 2, Math.floor(place));
  const colour = VIRIDIS[before].map((from, channel) =>
    Math.round(from + (VIRIDIS[before + 1][channel] - from) * (place - before)),
  );
  return [...colour, 255 * MOST_OPAQUE * value ** 0.7];
}
