/** The thumbnail, the tile plan and rounding of conversion/contract/SPEC.md: integers and float32, as in Python. */

export type Border = "clamp" | "shift";

/** Sizes in pixels; tile_px with its halo on both sides. */
export interface Tiling {
  tile_px: number;
  halo_px: number;
  align_px: number;
  border: Border;
}

/** Reads rows top.. and columns left.. (may lie outside the photo); of the photo, keeps rows y0..y1, columns x0..x1. */
export interface Tile {
  top: number;
  left: number;
  y0: number;
  y1: number;
  x0: number;
  x1: number;
}

export type Refusal = "empty" | "misaligned" | "all_halo" | "below_tile";

export class TilingError extends Error {
  readonly reason: Refusal;

  constructor(reason: Refusal, message: string) {
    super(message);
    this.reason = reason;
  }
}

/** Cuts a photo into tiles, row by row; their kept parts cover every pixel once. Throws TilingError. */
export function plan(height: number, width: number, tiling: Tiling): Tile[] {
  const { tile_px: size, halo_px: halo, align_px: align } = tiling;
  if (height < 1 || width < 1) throw new TilingError("empty", "a photo has pixels");
  if (size % align || halo % align) {
    throw new TilingError("misaligned", `tile ${size} and halo ${halo} must be multiples of ${align}`);
  }
  const columns = spans(width, tiling);
  return spans(height, tiling).flatMap(([top, y0, y1]) =>
    columns.map(([left, x0, x1]) => ({ top, left, y0, y1, x0, x1 })),
  );
}

/** (origin, keep from, keep to) along one side of a photo. */
function spans(length: number, tiling: Tiling): [number, number, number][] {
  const { tile_px: size, halo_px: halo, align_px: align } = tiling;
  const step = Math.floor((size - 2 * halo) / align) * align;
  if (step <= 0) throw new TilingError("all_halo", `a tile of ${size} px is all halo`);
  const found: [number, number, number][] = [];
  if (tiling.border === "clamp") {
    for (let at = 0; at < length; at += step) found.push([at - halo, at, Math.min(at + step, length)]);
    return found;
  }
  if (length < size) {
    throw new TilingError("below_tile", `this model needs a photo of at least ${size} by ${size} pixels`);
  }
  for (let kept = 0; kept < length;) {
    const origin = Math.min(Math.max(kept - halo, 0), length - size);
    const end = origin + size === length ? length : origin + size - halo;
    found.push([origin, kept, end]);
    kept = end;
  }
  return found;
}

/** The thumbnail of a photo that comes in strips of rows; sums stay below 2^53 for any photo. */
export class ThumbnailSums {
  private readonly photoHeight: number;
  private readonly photoWidth: number;
  private readonly rows: number;
  private readonly columns: number;
  private readonly sums: Float64Array;
  private row = 0;

  constructor(photoHeight: number, photoWidth: number, rows: number, columns: number) {
    this.photoHeight = photoHeight;
    this.photoWidth = photoWidth;
    this.rows = rows;
    this.columns = columns;
    this.sums = new Float64Array(rows * columns * 3);
  }

  /** The next rows of the photo, `stride` bytes a pixel of which the first three are R G B. */
  add(strip: Uint8Array | Uint8ClampedArray, stride: number): void {
    const { photoHeight, photoWidth, rows, columns, sums } = this;
    const line = new Float64Array(columns * 3);
    for (let at = 0; at < strip.length; at += photoWidth * stride, this.row++) {
      line.fill(0);
      for (let q = 0; q < photoWidth; q++) {
        const pixel = at + q * stride;
        const last = Math.ceil(((q + 1) * columns) / photoWidth);
        for (let c = Math.floor((q * columns) / photoWidth); c < last; c++) {
          const share = Math.min((c + 1) * photoWidth, (q + 1) * columns) - Math.max(c * photoWidth, q * columns);
          line[3 * c] += share * strip[pixel];
          line[3 * c + 1] += share * strip[pixel + 1];
          line[3 * c + 2] += share * strip[pixel + 2];
        }
      }
      const p = this.row;
      const last = Math.ceil(((p + 1) * rows) / photoHeight);
      for (let r = Math.floor((p * rows) / photoHeight); r < last; r++) {
        const share = Math.min((r + 1) * photoHeight, (p + 1) * rows) - Math.max(r * photoHeight, p * rows);
        for (let i = 0; i < line.length; i++) sums[r * line.length + i] += share * line[i];
      }
    }
  }

  /** [rows, columns, 3], after the last strip. */
  thumbnail(): Uint8Array {
    if (this.row !== this.photoHeight) throw new Error("strips must make up the photo");
    const weight = this.photoHeight * this.photoWidth;
    const half = Math.floor(weight / 2);
    return Uint8Array.from(this.sums, (sum) => Math.floor((sum + half) / weight));
  }
}

/** floor(value * 255 + 0.5) in float32, clamped; NaN becomes 0. */
export function toUint8(value: number): number {
  const rounded = Math.floor(Math.fround(Math.fround(Math.fround(value) * 255) + 0.5));
  return rounded > 0 ? Math.min(rounded, 255) : 0;
}

/** before + strength * (enhanced - before), each operation rounded to float32. */
export function blend(before: number, enhanced: number, strength: number): number {
  return Math.fround(before + Math.fround(Math.fround(strength) * Math.fround(enhanced - before)));
}

/** level / 255 in float32. */
export const LEVELS: Float32Array = Float32Array.from({ length: 256 }, (_, level) => level / 255);
