/** The worker: holds the runtime from the start, so that the page needs no network later. */

import { Engine, EngineError } from "./engine.ts";
import type { CallName, Calls, Protocol, Reply, Request } from "./messages.ts";
import { TilingError } from "./tiling.ts";
import { Cancelled, enhanceFile, output, time, type Step } from "./work.ts";

let engine: Engine;
let protocol: Protocol;
let load_s = 0;
let result: OffscreenCanvas | null = null;
let cancelled = false;

type Handlers = {
  [Name in CallName]: (step: Step, ...args: Parameters<Calls[Name]>) => Promise<ReturnType<Calls[Name]>>;
};

const handlers: Handlers = {
  async start(_, given) {
    protocol = given;
    engine = await Engine.start(given.threads, given.backend);
    return { threads: engine.threads };
  },
  async open(_, manifest, model) {
    load_s = await engine.open(manifest, model);
    return { unit: engine.unit };
  },
  time: (step, photo, pixels) => time(engine, protocol, load_s, photo, new Uint8Array(pixels), step),
  output: async (step, photo, pixels) =>
    (await output(engine, photo, new Uint8Array(pixels), step)).buffer as ArrayBuffer,
  async enhance(step, file) {
    result = null; // before the next photo needs memory
    const { canvas, ...enhanced } = await enhanceFile(engine, file, step);
    result = canvas;
    return enhanced;
  },
  async encode(_, type) {
    if (!result) throw new EngineError("There is no enhanced photo to save.");
    return result.convertToBlob({ type, quality: 0.95 });
  },
};

const reply = (message: Reply, transfer: Transferable[] = []): void => self.postMessage(message, { transfer });

self.onmessage = async ({ data }: MessageEvent<Request>) => {
  if ("cancel" in data) {
    cancelled = true;
    return;
  }
  const { id, name, args } = data;
  cancelled = false;
  const step: Step = async (progress) => {
    reply({ id, progress });
    await new Promise((resume) => setTimeout(resume)); // lets a cancel in
    if (cancelled) throw new Cancelled();
  };
  try {
    const answer = await (handlers[name] as (step: Step, ...args: unknown[]) => Promise<unknown>)(step, ...args);
    const transfer = Object.values(answer instanceof ArrayBuffer ? [answer] : (answer as object)).filter(
      isTransferable,
    );
    reply({ id, answer }, transfer);
  } catch (error) {
    reply({ id, error: sentence(error), cancelled: error instanceof Cancelled });
  }
};

const isTransferable = (value: unknown): value is Transferable =>
  value instanceof ArrayBuffer || value instanceof ImageBitmap;

function sentence(error: unknown): string {
  if (error instanceof Cancelled) return "Cancelled.";
  if (error instanceof EngineError) return error.message;
  if (error instanceof TilingError) return `${error.message[0].toUpperCase()}${error.message.slice(1)}.`;
  if (error instanceof RangeError)
    return "The memory of this browser is too small for this photo: choose a smaller one.";
  return `The browser stopped: ${String(error)}. Reload the page.`;
}
