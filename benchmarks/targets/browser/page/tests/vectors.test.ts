/** The golden vectors of conversion/contract: TypeScript makes of every case what Python made of it. */

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

import { ArtifactError, digest, parseManifest, verifyFiles } from "../src/manifest.ts";
import { percentile } from "../src/percentile.ts";
import { keep, pack, readTile, unpack, type Pixels } from "../src/pixels.ts";
import { preview, towards, transformOf } from "../src/preview.ts";
import { LEVELS, ThumbnailSums, TilingError, blend, plan, toUint8, type Tiling } from "../src/tiling.ts";

type Case = any;
const VECTORS = new URL("../../../../../conversion/contract/vectors/", import.meta.url);

function cases(name: string): Case[] {
  const { cases: read } = JSON.parse(readFileSync(new URL(`${name}.json`, VECTORS), "utf-8")) as { cases: Case[] };
  assert.ok(read.length > 0);
  return read;
}

function testBytes(count: number, seed: number): Uint8Array {
  const bytes = new Uint8Array(count);
  for (let i = 0; i < count; i++) {
    let x = (Math.imul(i, 2654435761) + seed) | 0;
    x = Math.imul(x ^ (x >>> 15), 2246822519);
    x = Math.imul(x ^ (x >>> 13), 3266489917);
    bytes[i] = x >>> 24;
  }
  return bytes;
}

const bytesOf = (array: Float32Array | Int32Array): Uint8Array => new Uint8Array(array.buffer);
const float32 = (hex: string): number => new Float32Array(Uint32Array.of(parseInt(hex, 16)).buffer)[0];
const float64 = (hex: string): number => Buffer.from(hex, "hex").readDoubleBE(0);
const hexOf = (value: number): string =>
  new Uint32Array(Float32Array.of(value).buffer)[0].toString(16).padStart(8, "0");
const tilingOf = (given: Case): Tiling => given as Tiling;

function expectResult(given: Case, bytes: Uint8Array, where: string): void {
  assert.equal(digest(bytes), given.sha256, where);
}

test("test bytes and SHA-256", () => {
  for (const given of cases("pixels")) expectResult(given, testBytes(given.count, given.seed), "pixels");
  for (const given of cases("sha256")) expectResult(given, testBytes(given.count, given.seed), "sha256");
});

test("thumbnails, in strips of any height", () => {
  for (const given of cases("thumbnails")) {
    const { height, width, rows, columns } = given;
    const count = height * width * 3;
    const photo = given.white ? new Uint8Array(count).fill(255) : testBytes(count, given.seed);
    const sums = new ThumbnailSums(height, width, rows, columns);
    const strip = 7 * width * 3;
    for (let at = 0; at < count; at += strip) sums.add(photo.subarray(at, at + strip), 3);
    expectResult(given, sums.thumbnail(), `${height} x ${width}`);
  }
});

test("tile plans", () => {
  for (const given of cases("tile_plans")) {
    const make = () => plan(given.height, given.width, tilingOf(given));
    if (given.refused) {
      assert.throws(make, (error) => error instanceof TilingError && error.reason === given.refused);
      continue;
    }
    const tiles = make();
    assert.equal(tiles.length, given.count);
    const text = tiles.map((t) => `${t.top} ${t.left} ${t.y0} ${t.y1} ${t.x0} ${t.x1}\n`).join("");
    expectResult(given, new TextEncoder().encode(text), text);
  }
});

test("ownership of pixels", () => {
  for (const given of cases("ownership")) {
    const owner = new Int32Array(given.height * given.width).fill(-1);
    plan(given.height, given.width, tilingOf(given)).forEach((tile, number) => {
      for (let y = tile.y0; y < tile.y1; y++) owner.fill(number, y * given.width + tile.x0, y * given.width + tile.x1);
    });
    expectResult(given, bytesOf(owner), "ownership");
  }
});

test("stitching with an engine of whole grey levels", () => {
  for (const given of cases("stitching")) {
    const { height, width, tile_px: size, reach } = given;
    const photo = testBytes(height * width * 3, given.seed);
    const sums = new ThumbnailSums(height, width, given.thumbnail_px, given.thumbnail_px);
    sums.add(photo, 3);
    const condition = [0, 0, 0];
    sums.thumbnail().forEach((level, at) => (condition[at % 3] = (condition[at % 3] + level) % 256));
    assert.deepEqual(condition, given.condition);
    const result = new Uint8Array(height * width * 3);
    const pixels: Pixels = {
      bytes: new Uint8Array(size * size * 4),
      height: size,
      width: size,
      rowBytes: 4 * size,
      order: "RGBA",
    };
    const readRow = (row: number) => ({ bytes: photo, at: row * width * 3, stride: 3 });
    for (const tile of plan(height, width, tilingOf(given))) {
      readTile(readRow, height, width, tile, pixels);
      const input = pack(pixels, "NHWC", new Float32Array(size * size * 3));
      const level = (y: number, x: number, c: number): number =>
        y < 0 || x < 0 || y >= size || x >= size ? 0 : toUint8(input[(y * size + x) * 3 + c]);
      const enhanced = new Float32Array(input.length);
      for (let y = 0, at = 0; y < size; y++) {
        for (let x = 0; x < size; x++) {
          for (let c = 0; c < 3; c++, at++) {
            const around =
              level(y - reach, x, c) + level(y + reach, x, c) + level(y, x - reach, c) + level(y, x + reach, c);
            enhanced[at] = ((4 * level(y, x, c) + around + condition[c]) % 256) / 255;
          }
        }
      }
      const kept = keep(enhanced, pixels, tile, 1);
      for (let y = tile.y0, from = 0; y < tile.y1; y++) {
        for (let x = tile.x0; x < tile.x1; x++, from += 4)
          result.set(kept.subarray(from, from + 3), (y * width + x) * 3);
      }
    }
    expectResult(given, result, `${height} x ${width}`);
  }
});

test("rounding and strength", () => {
  for (const given of cases("rounding")) assert.equal(toUint8(float32(given.float32)), given.uint8, given.float32);
  for (const given of cases("blending")) {
    const blended = blend(LEVELS[given.before], float32(given.enhanced), float32(given.strength));
    assert.equal(hexOf(blended), given.blended);
    assert.equal(toUint8(blended), given.uint8);
  }
});

test("the preview of a condition, on its way to the next one", () => {
  const near = (values: ArrayLike<number>, expected: number[]): void => {
    assert.equal(values.length, expected.length);
    expected.forEach((value, index) => assert.ok(Math.abs(values[index] - value) <= 2e-5, `${values[index]}, ${value}`));
  };
  for (const given of cases("preview")) {
    const [shown, seen] = [given.shown, given.seen].map((numbers: number[]) => Float32Array.from(numbers));
    const smoothed = towards(shown, seen, given.elapsed_s);
    near(smoothed, given.smoothed);
    given.pixels.forEach((pixel: number[], index: number) => near(preview(smoothed, pixel), given.preview[index]));
  }
  const matrix = Float32Array.from({ length: 72 }, (_, index) => index);
  near(transformOf(matrix, Float32Array.from([1, 2, 3, 4, 5, 6])), [
    0, 1, 2, 6, 7, 8, 12, 13, 14, 36, 37, 38, 42, 43, 44, 48, 49, 50, 1, 2, 3,
  ]);
  assert.throws(() => transformOf(matrix, Float32Array.of(1)), /condition of Pocket/);
});

test("pixels to tensors and back", () => {
  for (const given of cases("packing")) {
    const { height, width, row_bytes: rowBytes, order } = given;
    const bytes = testBytes(height * rowBytes, given.seed);
    const pixels: Pixels = { bytes, height, width, rowBytes, order };
    const [nchw, nhwc] = (["NCHW", "NHWC"] as const).map((l) => pack(pixels, l, new Float32Array(3 * height * width)));
    assert.equal(digest(bytesOf(nchw)), given.nchw_sha256);
    assert.equal(digest(bytesOf(nhwc)), given.nhwc_sha256);
    assert.deepEqual([...nchw.slice(0, 3)].map(hexOf), given.first);
    const filled: Pixels = { ...pixels, bytes: new Uint8Array(height * rowBytes).fill(170) };
    unpack(
      nchw.map((value) => value * 0.75),
      "NCHW",
      filled,
    );
    expectResult(given.packed, filled.bytes as Uint8Array, "packed");
  }
});

test("percentiles", () => {
  for (const given of cases("percentiles")) {
    if (given.samples_s) {
      const ms = (given.samples_s as string[]).map((hex) => 1e3 * float64(hex));
      const expected = JSON.parse(given.latency) as { p50_ms: number; p90_ms: number };
      assert.equal(percentile(ms, 50).toFixed(6), expected.p50_ms.toFixed(6));
      assert.equal(percentile(ms, 90).toFixed(6), expected.p90_ms.toFixed(6));
    } else {
      const samples = [...testBytes(given.count, given.seed)].map((byte) => byte + 1);
      assert.equal(percentile(samples, given.percent), given.value);
    }
  }
});

function refusal(make: () => unknown): string | null {
  try {
    make();
    return null;
  } catch (error) {
    assert.ok(error instanceof ArtifactError, String(error));
    return error.reason;
  }
}

test("manifests", () => {
  const [{ manifest }, ...rest] = cases("manifests");
  for (const given of rest) {
    const text = given.brackets
      ? "[".repeat(given.brackets) + "]".repeat(given.brackets)
      : manifest.replace(given.replace, () => given.by);
    assert.equal(
      refusal(() => parseManifest(new TextEncoder().encode(text))),
      given.refused,
      given.name,
    );
  }
});

test("files of artifacts", () => {
  const [{ files }, ...rest] = cases("artifacts");
  for (const given of rest) {
    const all = Object.entries({ ...files, ...given.change }).filter(([, hex]) => hex !== null);
    const bytes = new Map(all.map(([path, hex]) => [path, Uint8Array.from(Buffer.from(hex as string, "hex"))]));
    if (given.spaces_after_manifest) {
      const text = new TextDecoder().decode(bytes.get("manifest.json")) + " ".repeat(given.spaces_after_manifest);
      bytes.set("manifest.json", new TextEncoder().encode(text));
    }
    assert.equal(
      refusal(() => verifyFiles(bytes)),
      given.refused,
      given.name,
    );
  }
});
