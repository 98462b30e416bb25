/** Photos through the engine: samples of the protocol, whole outputs, and a photo that a visitor picked. */

import { bufferFor, EngineError, type Engine, type Values } from "./engine.ts";
import { entryPoint } from "./manifest.ts";
import type { Enhanced, Protocol, RawPhoto, Timed } from "./messages.ts";
import { keep, pack, readTile, type Pixels, type ReadRow } from "./pixels.ts";
import { ThumbnailSums, plan, type Tile } from "./tiling.ts";

export class Cancelled extends Error {}

/** Called between two steps with the share that is done; throws Cancelled. */
export type Step = (share: number) => Promise<void>;

const PREVIEW_PX = 1600; // longer side of what the slider shows
const STRIP_ROWS = 64;
const CLOCKS_IN_SAMPLE = 100; // a sample lasts so many ticks of the clock, or it says little

/** Warm-up and timed runs of both entry points on the first tile of a photo, as on_host.py does. */
export async function time(
  engine: Engine,
  protocol: Protocol,
  load_s: number,
  photo: RawPhoto,
  bytes: Uint8Array,
  step: Step,
): Promise<Timed> {
  const thumbnail = analyzed(engine, photo, bytes);
  await engine.analyze(thumbnail);
  const tiles = tileReader(engine, photo.height, photo.width, (row) => ({
    bytes,
    at: row * photo.width * 3,
    stride: 3,
  }));
  const tile = tiles.read(tiles.plan[0]);
  const tick = clockTick();
  const total = 2 * (protocol.warm_up_runs + protocol.runs);
  let done = 0;
  let most = 1;

  async function samples(call: () => Promise<unknown>): Promise<number[]> {
    let calls = 1;
    const found: number[] = [];
    for (let run = -protocol.warm_up_runs; run < protocol.runs; run++) {
      const started = performance.now();
      for (let at = 0; at < calls; at++) await call();
      const seconds = (performance.now() - started) / 1000 / calls;
      if (run < 0) calls = Math.max(1, Math.ceil((CLOCKS_IN_SAMPLE * tick) / Math.max(seconds, tick)));
      else found.push(seconds);
      await step(++done / total);
    }
    most = Math.max(most, calls);
    return found;
  }

  const analyze_s = await samples(() => engine.analyze(thumbnail));
  const enhance_s = await samples(() => engine.enhance(tile));
  return { load_s: [load_s], analyze_s, enhance_s, calls: most, unit: engine.unit };
}

/** A whole photo [H, W, 3] of 8 bits -> float32 in [0, 1]. */
export async function output(engine: Engine, photo: RawPhoto, bytes: Uint8Array, step: Step): Promise<Float32Array> {
  const { height, width } = photo;
  await engine.analyze(analyzed(engine, photo, bytes));
  const tiles = tileReader(engine, height, width, (row) => ({ bytes, at: row * width * 3, stride: 3 }));
  const whole = new Float32Array(height * width * 3);
  for (const [number, tile] of tiles.plan.entries()) {
    const enhanced = await engine.enhance(tiles.read(tile));
    for (let y = tile.y0; y < tile.y1; y++) {
      const from = ((y - tile.top) * tiles.size + tile.x0 - tile.left) * 3;
      const to = (y * width + tile.x0) * 3;
      for (let i = 0; i < (tile.x1 - tile.x0) * 3; i++) whole[to + i] = Math.min(Math.max(enhanced[from + i], 0), 1);
    }
    await step((number + 1) / tiles.plan.length);
  }
  return whole;
}

/** A picture file at its full size, in memory for two copies of it. The canvas holds the result. */
export async function enhanceFile(
  engine: Engine,
  file: Blob,
  step: Step,
): Promise<Enhanced & { canvas: OffscreenCanvas }> {
  const started = performance.now();
  const photo = await decode(file);
  const { height, width } = photo;
  const result = drawing(height, width);
  const strip = drawing(Math.min(height, engine.opened.tiling.tile_px), width);

  function rows(from: number, to: number): Uint8ClampedArray {
    strip.drawImage(photo, 0, from, width, to - from, 0, 0, width, to - from);
    return strip.getImageData(0, 0, width, to - from).data;
  }

  const side = engine.opened.thumbnail_px;
  const sums = new ThumbnailSums(height, width, side, side);
  for (let top = 0; top < height; top += STRIP_ROWS) {
    sums.add(rows(top, Math.min(top + STRIP_ROWS, height)), 4);
    await step((0.1 * top) / height);
  }
  await engine.analyze(asInput(engine, "analyze", rgba(sums.thumbnail(), side)));
  let band = new Uint8ClampedArray();
  let first = -1;
  const tiles = tileReader(engine, height, width, (row) => ({ bytes: band, at: (row - first) * width * 4, stride: 4 }));
  for (const [number, tile] of tiles.plan.entries()) {
    const from = Math.max(tile.top, 0);
    if (from !== first) {
      band = new Uint8ClampedArray(rows(from, Math.min(tile.top + tiles.size, height)));
      first = from;
    }
    const enhanced = await engine.enhance(tiles.read(tile));
    const kept = keep(enhanced, tiles.pixels, tile, 1);
    result.putImageData(new ImageData(kept, tile.x1 - tile.x0, tile.y1 - tile.y0), tile.x0, tile.y0);
    await step(0.1 + (0.9 * (number + 1)) / tiles.plan.length);
  }
  const scale = Math.min(1, PREVIEW_PX / Math.max(height, width));
  const size = {
    resizeWidth: Math.max(1, Math.round(width * scale)),
    resizeHeight: Math.max(1, Math.round(height * scale)),
    resizeQuality: "high" as const,
  };
  const [before, after] = await Promise.all([createImageBitmap(photo, size), createImageBitmap(result.canvas, size)]);
  photo.close();
  return { height, width, before, after, seconds: (performance.now() - started) / 1000, canvas: result.canvas };
}

async function decode(file: Blob): Promise<ImageBitmap> {
  try {
    return await createImageBitmap(file, { imageOrientation: "from-image", premultiplyAlpha: "none" });
  } catch {
    throw new EngineError("This file is no picture that the browser can open: choose a JPEG, PNG or WebP photo.");
  }
}

function drawing(height: number, width: number): OffscreenCanvasRenderingContext2D {
  const context = new OffscreenCanvas(width, height).getContext("2d", { alpha: false, willReadFrequently: true });
  if (!context)
    throw new EngineError(`This browser cannot hold a picture of ${width} by ${height} pixels: choose a smaller one.`);
  return context;
}

/** Reads tiles of a photo into one buffer, as the model takes them. */
function tileReader(engine: Engine, height: number, width: number, readRow: ReadRow) {
  const { tiling } = engine.opened;
  const size = tiling.tile_px;
  const pixels: Pixels = square(new Uint8Array(size * size * 4), size);
  return {
    size,
    pixels,
    plan: plan(height, width, tiling),
    read(tile: Tile): Values {
      readTile(readRow, height, width, tile, pixels);
      return asInput(engine, "enhance", pixels);
    },
  };
}

/** What `analyze` takes of a photo of raw R G B. */
function analyzed(engine: Engine, photo: RawPhoto, bytes: Uint8Array): Values {
  const side = engine.opened.thumbnail_px;
  const sums = new ThumbnailSums(photo.height, photo.width, side, side);
  sums.add(bytes, 3);
  return asInput(engine, "analyze", rgba(sums.thumbnail(), side));
}

function asInput(engine: Engine, name: "analyze" | "enhance", pixels: Pixels): Values {
  const [spec] = entryPoint(engine.opened, name).inputs;
  return pack(pixels, spec.layout === "NCHW" ? "NCHW" : "NHWC", bufferFor(spec));
}

function rgba(rgb: Uint8Array, side: number): Pixels {
  const bytes = new Uint8Array(side * side * 4);
  for (let i = 0; i < side * side; i++) bytes.set(rgb.subarray(3 * i, 3 * i + 3), 4 * i);
  return square(bytes, side);
}

function square(bytes: Uint8Array, side: number): Pixels {
  return { bytes, height: side, width: side, rowBytes: 4 * side, order: "RGBA" };
}

/** Seconds between two readings of the clock that differ. */
function clockTick(): number {
  const started = performance.now();
  let now = started;
  while (now === started) now = performance.now();
  return (now - started) / 1000;
}
