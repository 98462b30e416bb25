/** LiteRT.js: one runtime, one artifact at a time; `analyze` once per photo, then `enhance` for each tile. */

import {
  Tensor,
  getWebGpuDevice,
  loadAndCompile,
  loadLiteRt,
  supportsFeature,
  type CompiledModel,
} from "@litertjs/core";
import compatScript from "@litertjs/core/wasm/litert_wasm_compat_internal.js?url";
import compatBinary from "@litertjs/core/wasm/litert_wasm_compat_internal.wasm?url";
import plainScript from "@litertjs/core/wasm/litert_wasm_internal.js?url";
import plainBinary from "@litertjs/core/wasm/litert_wasm_internal.wasm?url";
import threadedScript from "@litertjs/core/wasm/litert_wasm_threaded_internal.js?url";
import threadedBinary from "@litertjs/core/wasm/litert_wasm_threaded_internal.wasm?url";

import { entryPoint, type EntryPoint, type Manifest, type TensorSpec } from "./manifest.ts";

export type Backend = "wasm" | "webgpu";
export type Values = Float32Array<ArrayBuffer> | Uint8Array<ArrayBuffer>;

/** A function with one SIMD instruction: `i8x16.splat`. Every build of LiteRT.js needs SIMD. */
const SIMD = Uint8Array.of(
  0,
  97,
  115,
  109,
  1,
  0,
  0,
  0,
  1,
  5,
  1,
  96,
  0,
  1,
  123,
  3,
  2,
  1,
  0,
  10,
  8,
  1,
  6,
  0,
  65,
  0,
  253,
  15,
  11,
);

export class EngineError extends Error {}

export class Engine {
  readonly threads: number;
  private readonly asked: Backend;
  private model: CompiledModel | null = null;
  private manifest: Manifest | null = null;
  private condition: Record<string, Tensor> = {};

  private constructor(threads: number, asked: Backend) {
    this.threads = threads;
    this.asked = asked;
  }

  /** Loads the runtime once. Several threads need memory that pages share only when they are cross-origin isolated. */
  static async start(threads: number, backend: Backend): Promise<Engine> {
    if (typeof WebAssembly !== "object" || !WebAssembly.validate(SIMD)) {
      throw new EngineError("This browser has no WebAssembly SIMD, which the model needs: use a newer browser.");
    }
    const relaxed = await supportsFeature("relaxedSimd");
    const threaded = threads > 1 && relaxed && crossOriginIsolated;
    const [script, binary] = threaded
      ? [threadedScript, threadedBinary]
      : relaxed
        ? [plainScript, plainBinary]
        : [compatScript, compatBinary];
    const at = (path: string): string => new URL(path, self.location.href).href;
    // LiteRT.js looks here for where its files lie; a worker of a worker cannot find out by itself.
    Object.assign(self, { Module: { locateFile: () => at(binary), mainScriptUrlOrBlob: at(script) } });
    await loadLiteRt(at(script));
    return new Engine(threaded ? Math.min(threads, navigator.hardwareConcurrency) : 1, backend);
  }

  /** What does the work, such as "wasm, 2 threads". */
  get unit(): string {
    if (this.model?.options.accelerator === "webgpu") return "webgpu";
    return `wasm, ${this.threads} thread${this.threads > 1 ? "s" : ""}`;
  }

  get opened(): Manifest {
    if (!this.manifest) throw new EngineError("No model is open.");
    return this.manifest;
  }

  /** Compiles a model, whose checksum was verified, in place of the one before. Returns seconds. */
  async open(manifest: Manifest, model: Uint8Array): Promise<number> {
    this.model?.delete();
    this.forget();
    this.model = null;
    const backend = this.asked === "webgpu" && getWebGpuDevice() ? "webgpu" : "wasm";
    const started = performance.now();
    try {
      this.model = await loadAndCompile(model, { accelerator: backend, cpuOptions: { numThreads: this.threads } });
    } catch (error) {
      throw new EngineError(`LiteRT.js refuses the model of ${manifest.name}: ${String(error)}`);
    }
    const seconds = (performance.now() - started) / 1000;
    this.manifest = manifest;
    return seconds;
  }

  /** The thumbnail [1, side, side, 3], in the type of the model; its condition is kept for `enhance`. */
  async analyze(thumbnail: Values): Promise<void> {
    const point = entryPoint(this.opened, "analyze");
    const outputs = await this.run(point, { [point.inputs[0].name]: tensor(thumbnail, point.inputs[0]) });
    this.forget();
    this.condition = outputs;
  }

  /** A tile [1, size, size, 3], in the type of the model -> [1, size, size, 3] float32, not clamped. */
  async enhance(tile: Values): Promise<Float32Array<ArrayBufferLike>> {
    const point = entryPoint(this.opened, "enhance");
    const input = tensor(tile, point.inputs[0]);
    const { analyzeOutputs } = this;
    const condition = Object.fromEntries(
      point.inputs.slice(1).map((spec, at) => [spec.name, this.condition[analyzeOutputs[at]]]),
    );
    try {
      const outputs = await this.run(point, { [point.inputs[0].name]: input, ...condition }, [input]);
      const output = Object.values(outputs)[0];
      const values = (await output.data()) as Values;
      output.delete();
      return values instanceof Uint8Array ? Float32Array.from(values, (level) => level / 255) : values;
    } catch (error) {
      throw error instanceof EngineError ? error : new EngineError(`The model stopped: ${String(error)}`);
    }
  }

  private get analyzeOutputs(): string[] {
    return entryPoint(this.opened, "analyze").outputs.map((spec) => spec.name);
  }

  private async run(
    point: EntryPoint,
    inputs: Record<string, Tensor>,
    toDelete = Object.values(inputs),
  ): Promise<Record<string, Tensor>> {
    try {
      return await this.model!.run(point.function, inputs);
    } finally {
      toDelete.forEach((input) => input.delete());
    }
  }

  private forget(): void {
    Object.values(this.condition).forEach((part) => part.delete());
    this.condition = {};
  }
}

function tensor(values: Values, spec: TensorSpec): Tensor {
  return Tensor.fromTypedArray(values, spec.shape);
}

/** An empty buffer of the type and size that an input has. */
export function bufferFor(spec: TensorSpec): Values {
  const count = spec.shape.reduce((product, side) => product * side, 1);
  return spec.dtype === "uint8" ? new Uint8Array(count) : new Float32Array(count);
}
