/** Pixels of photos to tensors [1, H, W, 3] or [1, 3, H, W], and back: SPEC.md, Pixels and tensors. */

import { LEVELS, blend, toUint8, type Tile } from "./tiling.ts";

export type Layout = "NCHW" | "NHWC";
/** Rows of 4 bytes a pixel; `first` is the offset of R, and B lies at 2 - first. */
export interface Pixels {
  bytes: Uint8Array | Uint8ClampedArray;
  height: number;
  width: number;
  rowBytes: number;
  order: "RGBA" | "BGRA";
}

/** level / 255 of every pixel, alpha ignored; a tensor of 8 bits takes the levels as they are. */
export function pack<T extends Float32Array | Uint8Array>(pixels: Pixels, layout: Layout, into: T): T {
  const { bytes, height, width, rowBytes, order } = pixels;
  const [step, plane] = strides(layout, height * width);
  const red = order === "RGBA" ? 0 : 2;
  const floats = into instanceof Float32Array;
  for (let y = 0, to = 0; y < height; y++) {
    for (let x = 0, from = y * rowBytes; x < width; x++, from += 4, to += step) {
      const [r, g, b] = [bytes[from + red], bytes[from + 1], bytes[from + 2 - red]];
      into[to] = floats ? LEVELS[r] : r;
      into[to + plane] = floats ? LEVELS[g] : g;
      into[to + 2 * plane] = floats ? LEVELS[b] : b;
    }
  }
  return into;
}

/** Rounds a tensor to 8 bits into `pixels`, alpha 255; padding of rows stays as it is. */
export function unpack(tensor: Float32Array, layout: Layout, pixels: Pixels): void {
  const { bytes, height, width, rowBytes, order } = pixels;
  const [step, plane] = strides(layout, height * width);
  const red = order === "RGBA" ? 0 : 2;
  for (let y = 0, from = 0; y < height; y++) {
    for (let x = 0, to = y * rowBytes; x < width; x++, to += 4, from += step) {
      bytes[to + red] = toUint8(tensor[from]);
      bytes[to + 1] = toUint8(tensor[from + plane]);
      bytes[to + 2 - red] = toUint8(tensor[from + 2 * plane]);
      bytes[to + 3] = 255;
    }
  }
}

/** Distances between pixels and between channels. */
function strides(layout: Layout, pixels: number): [number, number] {
  return layout === "NHWC" ? [3, 1] : [1, pixels];
}

/** Reads the pixel (row, column) of a photo, both inside of it, into R G B at `to` of `into`. */
export type ReadRow = (row: number) => { bytes: Uint8Array | Uint8ClampedArray; at: number; stride: number };

/** A tile of a photo as RGBA [size, size, 4]; outside of the photo its edge repeats. */
export function readTile(readRow: ReadRow, height: number, width: number, tile: Tile, into: Pixels): void {
  const size = into.width;
  for (let y = 0; y < size; y++) {
    const { bytes, at, stride } = readRow(Math.min(Math.max(tile.top + y, 0), height - 1));
    for (let x = 0, to = y * into.rowBytes; x < size; x++, to += 4) {
      const from = at + Math.min(Math.max(tile.left + x, 0), width - 1) * stride;
      into.bytes[to] = bytes[from];
      into.bytes[to + 1] = bytes[from + 1];
      into.bytes[to + 2] = bytes[from + 2];
    }
  }
}

/** The kept part of an enhanced tile [size, size, 3] in [0, 1], blended with the photo and rounded, as RGBA. */
export function keep(
  enhanced: Float32Array,
  photo: Pixels,
  tile: Tile,
  strength: number,
): Uint8ClampedArray<ArrayBuffer> {
  const size = photo.width;
  const [height, width] = [tile.y1 - tile.y0, tile.x1 - tile.x0];
  const kept = new Uint8ClampedArray(height * width * 4);
  for (let y = 0, to = 0; y < height; y++) {
    const row = (tile.y0 - tile.top + y) * size + tile.x0 - tile.left;
    for (let x = row; x < row + width; x++, to += 4) {
      for (let c = 0; c < 3; c++) {
        const value = Math.min(Math.max(enhanced[3 * x + c], 0), 1);
        kept[to + c] = toUint8(blend(LEVELS[photo.bytes[4 * x + c]], value, strength));
      }
      kept[to + 3] = 255;
    }
  }
  return kept;
}
