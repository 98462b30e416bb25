/** What a live camera shows of a condition: Pocket's colour transform of a pixel, smoothed over time (SPEC.md). */

const END_SLOPE = 0.55;
const SHOULDER_SLOPE = 0.1;
const SHOULDER_OFFSET = 0.008;
export const TIME_CONSTANT_S = 0.4;

/** linear by rows, square by rows, offset: 9 + 9 + 3 numbers. */
export type ColourTransform = Float32Array;

/** Of the tensors matrix [1, 2 n, n] and offset [n] of a condition: the blocks of a cell's first pixel. */
export function transformOf(matrix: Float32Array, offset: Float32Array): ColourTransform {
  const n = offset.length;
  if (n < 3 || matrix.length !== 2 * n * n) throw new Error("a condition of Pocket has matrix [1, 2 n, n] and offset [n]");
  const transform = new Float32Array(21);
  for (let row = 0; row < 3; row++) {
    for (let column = 0; column < 3; column++) {
      transform[3 * row + column] = matrix[row * n + column];
      transform[9 + 3 * row + column] = matrix[(n + row) * n + column];
    }
  }
  transform.set(offset.subarray(0, 3), 18);
  return transform;
}

/** R G B in [0, 1], encoded sRGB -> the same. */
export function preview(transform: ColourTransform, pixel: readonly number[]): number[] {
  return pixel.map((x, column) => {
    let y = transform[18 + column];
    pixel.forEach((value, row) => {
      y += value * transform[3 * row + column] + value * value * transform[9 + 3 * row + column];
    });
    const most = Math.max(END_SLOPE * x + 1 - END_SLOPE, SHOULDER_SLOPE * x + 1 - SHOULDER_SLOPE - SHOULDER_OFFSET);
    return Math.max(Math.min(y, most), Math.min(END_SLOPE * x, SHOULDER_SLOPE * x + SHOULDER_OFFSET));
  });
}

/** What is shown `elapsedS` seconds later when `seen` is what the camera sees now. */
export function towards(shown: ColourTransform, seen: ColourTransform, elapsedS: number): ColourTransform {
  const share = 1 - Math.exp(-Math.max(0, elapsedS) / TIME_CONSTANT_S);
  return shown.map((value, index) => value + share * (seen[index] - value));
}
