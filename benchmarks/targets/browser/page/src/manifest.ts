/** Manifests and files of an artifact, checked as conversion/contract/SPEC.md says before a runtime sees a byte. */

import { sha256 } from "@noble/hashes/sha2.js";
import { bytesToHex } from "@noble/hashes/utils.js";

import schema from "../../../../../conversion/contract/manifest.schema.json" with { type: "json" };
import { JsonError, Numeral, parse, type Json, type JsonRefusal } from "./strict_json.ts";
import type { Tiling } from "./tiling.ts";

export interface TensorSpec {
  name: string;
  shape: number[];
  dtype: "float32" | "uint8";
  layout: "NCHW" | "NHWC" | "NRC";
}

export interface EntryPoint {
  name: "analyze" | "enhance";
  file: string;
  function: string;
  inputs: TensorSpec[];
  outputs: TensorSpec[];
}

/** The fields of a manifest that this page uses; all others are checked, too. */
export interface Manifest {
  name: string;
  format: string;
  precision: string;
  files: { path: string; sha256: string; bytes: number }[];
  entry_points: EntryPoint[];
  thumbnail_px: number;
  tiling: Tiling;
  golden: { thumbnail: string; condition: string[]; tile: string; output: string };
  licence: string;
}

export type ManifestRefusal =
  JsonRefusal | "too_large" | "schema_version" | "missing_field" | "unknown_field" | "path" | "field";
export type FileRefusal = "manifest_changed" | "file_missing" | "file_changed";

export class ArtifactError extends Error {
  readonly reason: ManifestRefusal | FileRefusal;

  constructor(reason: ManifestRefusal | FileRefusal, message: string) {
    super(message);
    this.reason = reason;
  }
}

const BYTES_MOST = 1_000_000;
const TEXT_MOST = 2000;
const ITEMS_MOST = 1000;
const VALUES_MOST = 2 ** 28;
const UNPRINTABLE = /[\p{Cc}\p{Cf}\p{Cs}\p{Co}\p{Zl}\p{Zp}]|(?! )\p{Zs}/u;

/** Reads UTF-8 JSON. Throws ArtifactError. */
export function parseManifest(bytes: Uint8Array): Manifest {
  if (bytes.length > BYTES_MOST) throw new ArtifactError("too_large", "the manifest is larger than any manifest");
  let read: Json;
  try {
    read = parse(new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes));
  } catch (error) {
    const reason = error instanceof JsonError ? error.reason : "syntax";
    throw new ArtifactError(reason, `the manifest is not JSON: ${(error as Error).message}`);
  }
  const version = read instanceof Map ? read.get("schema_version") : undefined;
  if (!(version instanceof Numeral && version.isInteger && version.value === 1)) {
    throw new ArtifactError("schema_version", "the manifest has another schema version than 1");
  }
  check(schema as Schema, read, "manifest");
  const manifest = plain(read) as Manifest;
  checkTogether(manifest);
  return manifest;
}

/** Throws ArtifactError: a file is missing or differs. `files` holds all of the artifact by path. */
export function verifyFiles(files: ReadonlyMap<string, Uint8Array>): Manifest {
  const bytes = files.get("manifest.json");
  if (!bytes) throw new ArtifactError("file_missing", "manifest.json is missing");
  const manifest = parseManifest(bytes);
  const noted = files.get("manifest.json.sha256");
  if (!noted || new TextDecoder().decode(noted) !== `${digest(bytes)}  manifest.json\n`) {
    throw new ArtifactError("manifest_changed", "manifest.json differs from its checksum");
  }
  for (const { path, sha256: expected, bytes: size } of manifest.files) {
    const found = measured(files, path);
    if (!found) throw new ArtifactError("file_missing", `${path} is missing`);
    if (found.sha256 !== expected || found.bytes !== size) {
      throw new ArtifactError("file_changed", `${path} differs from its checksum`);
    }
  }
  return manifest;
}

export function entryPoint(manifest: Manifest, name: EntryPoint["name"]): EntryPoint {
  return manifest.entry_points.find((point) => point.name === name)!;
}

export const digest = (bytes: Uint8Array): string => bytesToHex(sha256(bytes));

/** A file, or a folder that counts as one. */
function measured(files: ReadonlyMap<string, Uint8Array>, path: string): { sha256: string; bytes: number } | null {
  const file = files.get(path);
  if (file) return { sha256: digest(file), bytes: file.length };
  const inside = [...files].filter(([name]) => name.startsWith(`${path}/`));
  if (!inside.length) return null;
  const lines = inside.map(([name, bytes]) => `${name.slice(path.length + 1)}\0${digest(bytes)}\n`).sort();
  const total = inside.reduce((sum, [, bytes]) => sum + bytes.length, 0);
  return { sha256: digest(new TextEncoder().encode(lines.join(""))), bytes: total };
}

/** What manifest.schema.json uses of JSON Schema. */
interface Schema {
  $ref?: string;
  oneOf?: Schema[];
  type?: string | string[];
  const?: unknown;
  enum?: unknown[];
  pattern?: string;
  minimum?: number;
  maximum?: number;
  minItems?: number;
  maxItems?: number;
  maxProperties?: number;
  items?: Schema;
  required?: string[];
  properties?: Record<string, Schema>;
  additionalProperties?: boolean | Schema;
}

function check(given: Schema, value: Json, where: string): void {
  const refuse = (reason: ManifestRefusal, what: string): never => {
    throw new ArtifactError(reason, `${where} ${what}`);
  };
  const defs = schema.$defs as Record<string, Schema>;
  const rule = given.$ref ? defs[given.$ref.slice("#/$defs/".length)] : given;
  if (rule.oneOf)
    return value === null
      ? undefined
      : check(
          rule.oneOf.find((one) => one.type !== "null")!,
          value,
          where,
        );
  const types = ([] as string[]).concat(rule.type ?? []);
  if (value === null && types.includes("null")) return;
  const kind = types.find((type) => type !== "null");
  if (kind && kind !== kindOf(value) && !(kind === "number" && kindOf(value) === "integer"))
    refuse("field", `is no ${kind}`);
  if (value instanceof Numeral) {
    const number = value.value;
    if (!Number.isFinite(number) || (value.isInteger && Math.abs(number) >= 2 ** 53))
      refuse("field", "is out of range");
    if (number < (rule.minimum ?? -Infinity) || number > (rule.maximum ?? Infinity)) refuse("field", "is out of range");
  }
  const simple = value instanceof Numeral ? value.value : value;
  if (rule.const !== undefined && simple !== rule.const) refuse("field", "has another value");
  if (rule.enum && !rule.enum.includes(simple)) refuse("field", "has an unknown value");
  if (typeof value === "string") {
    if ([...value].length > TEXT_MOST || UNPRINTABLE.test(value)) {
      refuse(/files\[\d+\]\.path$/.test(where) ? "path" : "field", "is not printable text");
    }
    if (rule.pattern && !new RegExp(rule.pattern, "u").test(value)) {
      refuse(/files\[\d+\]\.path$/.test(where) ? "path" : "field", "is not of its form");
    }
  }
  if (Array.isArray(value)) {
    const most = Math.min(rule.maxItems ?? ITEMS_MOST, ITEMS_MOST);
    if (value.length < (rule.minItems ?? 0) || value.length > most) refuse("field", "has too few or too many items");
    if (rule.items) value.forEach((item, at) => check(rule.items!, item, `${where}[${at}]`));
  }
  if (value instanceof Map) {
    if (value.size > ITEMS_MOST) refuse("field", "has too many items");
    for (const name of rule.required ?? []) if (!value.has(name)) refuse("missing_field", `lacks ${name}`);
    for (const [name, item] of value) {
      const field =
        rule.properties && Object.hasOwn(rule.properties, name) ? rule.properties[name] : rule.additionalProperties;
      if (field === false) refuse("unknown_field", `has an unknown field`);
      if (typeof field === "object") check(field, item, `${where}.${name}`);
    }
  }
}

function kindOf(value: Json): string {
  if (value instanceof Numeral) return value.isInteger ? "integer" : "number";
  if (value instanceof Map) return "object";
  return Array.isArray(value) ? "array" : value === null ? "null" : typeof value;
}

function plain(value: Json): unknown {
  if (value instanceof Numeral) return value.value;
  if (value instanceof Map) return Object.fromEntries([...value].map(([name, item]) => [name, plain(item)]));
  return Array.isArray(value) ? value.map(plain) : value;
}

/** What spans several fields. */
function checkTogether(manifest: Manifest): void {
  const require = (condition: boolean, message: string): void => {
    if (!condition) throw new ArtifactError("field", `manifest: ${message}`);
  };
  const { tile_px: tile, halo_px: halo, align_px: align } = manifest.tiling;
  require(align <= tile && 2 * halo < tile, "the tile is all halo");
  require(tile % align === 0 && halo % align === 0, "tile and halo must be multiples of align_px");
  const sizes = new Map(manifest.files.map((file) => [file.path, file.bytes]));
  require(sizes.size === manifest.files.length, "a file is listed twice");
  const { golden } = manifest;
  const goldenPaths = [golden.thumbnail, ...golden.condition, golden.tile, golden.output];
  for (const path of [...manifest.entry_points.map((point) => point.file), ...goldenPaths]) {
    require(sizes.has(path), `${path} is not listed in files`);
  }
  require(new Set(manifest.entry_points.map((point) => point.name)).size === 2, "entry points are analyze and enhance");
  const [analyze, enhance] = [entryPoint(manifest, "analyze"), entryPoint(manifest, "enhance")];
  for (const spec of [...analyze.inputs, ...analyze.outputs, ...enhance.inputs, ...enhance.outputs]) {
    require(spec.shape.length === spec.layout.length, `${spec.name} has not the rank of its layout`);
    require(values(spec) <= VALUES_MOST, `${spec.name} is absurd`);
    const range = (spec as TensorSpec & { range: number[] | null }).range;
    require(spec.dtype === "float32" || (range?.[0] === 0 && range[1] === 255), `${spec.name}: uint8 is 0 to 255`);
  }
  const image = (side: number): string => String([1, 3, side, side]);
  const shapes = (specs: TensorSpec[]): string[] => specs.map((spec) => String(asPlanes(spec)));
  const same = (one: string[], other: string[]): boolean => one.join(";") === other.join(";");
  require(same(shapes(analyze.inputs), [image(manifest.thumbnail_px)]), "analyze does not take the thumbnail");
  require(same(shapes(enhance.outputs), [image(tile)]), "enhance does not give a tile");
  require(same(shapes(enhance.inputs), [
    image(tile),
    ...shapes(analyze.outputs),
  ]), "enhance does not take the condition");
  require(golden.condition.length === analyze.outputs.length, "golden has not the condition of analyze");
  const specs = [...analyze.inputs, ...analyze.outputs, enhance.inputs[0], ...enhance.outputs];
  goldenPaths.forEach((path, at) =>
    require(sizes.get(path) === 4 * values(specs[at]), `${path} is not ${specs[at].name}`),
  );
}

const values = (spec: TensorSpec): number => spec.shape.reduce((product, side) => product * side, 1);

function asPlanes({ shape, layout }: TensorSpec): number[] {
  return layout === "NHWC" ? [shape[0], shape[3], shape[1], shape[2]] : shape;
}
