/** What page and worker say to each other: calls by name with an answer each, and progress in between. */

import type { Backend } from "./engine.ts";
import type { Manifest } from "./manifest.ts";

/** A photo as raw R G B, and what the report calls it. */
export interface RawPhoto {
  name: string;
  height: number;
  width: number;
}

export interface Protocol {
  warm_up_runs: number;
  runs: number;
  threads: number;
  backend: Backend;
}

/** Seconds; calls: how many calls one sample is the mean of, where the clock is coarse. */
export interface Timed {
  load_s: number[];
  analyze_s: number[];
  enhance_s: number[];
  calls: number;
  unit: string;
}

export interface Enhanced {
  height: number;
  width: number;
  before: ImageBitmap;
  after: ImageBitmap;
  seconds: number;
}

export interface Calls {
  start(protocol: Protocol): { threads: number };
  open(manifest: Manifest, model: Uint8Array): { unit: string };
  time(photo: RawPhoto, pixels: ArrayBuffer): Timed;
  output(photo: RawPhoto, pixels: ArrayBuffer): ArrayBuffer;
  enhance(file: Blob): Enhanced;
  encode(type: "image/jpeg" | "image/png"): Blob;
}

export type CallName = keyof Calls;
export type Request = { id: number; name: CallName; args: unknown[] } | { cancel: true };
export type Reply =
  | { id: number; answer: unknown }
  | { id: number; error: string; cancelled: boolean }
  | { id: number; progress: number };
