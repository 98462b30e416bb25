/** The computer that serves this page: artifacts and sample photos come from it, measurements go to it; no photo else. */

import { verifyFiles, type Manifest } from "./manifest.ts";
import type { Protocol, RawPhoto, Timed } from "./messages.ts";

export interface Session {
  protocol: Protocol;
  artifacts: string[][]; // the paths of the files of each
  photos: RawPhoto[];
}

export interface Verdict {
  artifact: string;
  fidelity: "pass" | "fail" | "invalid";
  text: string;
}

/** What the computer says to each sign of life. over: it has all it wants; stopped: why it gave up. */
export interface Heard {
  verdicts: Verdict[];
  over: boolean;
  stopped: string | null;
}

export interface Artifact {
  manifest: Manifest;
  model: Uint8Array;
}

export const LOST =
  "The connection to the computer is lost, so no report is written. Photos can still be enhanced here.";

export class ConnectionError extends Error {
  constructor() {
    super(LOST);
  }
}

async function ask(path: string, body?: BodyInit): Promise<Response> {
  let response: Response;
  try {
    response = await fetch(path, body === undefined ? {} : { method: "POST", body });
  } catch {
    throw new ConnectionError();
  }
  if (!response.ok) throw new Error(`The computer refused ${path}: ${await response.text()}`);
  return response;
}

export async function session(): Promise<Session> {
  return (await ask("session.json")).json() as Promise<Session>;
}

/** All files of an artifact, checked. Throws: one is missing or differs from its checksum. */
export async function artifact(number: number, paths: string[]): Promise<Artifact> {
  const files = new Map<string, Uint8Array>();
  for (const path of paths)
    files.set(path, new Uint8Array(await (await ask(`artifacts/${number}/${path}`)).arrayBuffer()));
  try {
    const manifest = verifyFiles(files);
    return { manifest, model: files.get(manifest.entry_points[0].file)! };
  } catch (error) {
    throw new Error(`The model came damaged: ${(error as Error).message}. Start on_browser.py again.`);
  }
}

export async function samplePhoto(number: number): Promise<ArrayBuffer> {
  return (await ask(`photos/${number}`)).arrayBuffer();
}

export async function started(facts: Record<string, string>): Promise<void> {
  await ask("started", JSON.stringify(facts));
}

export async function output(artifactNumber: number, photoNumber: number, values: ArrayBuffer): Promise<void> {
  await ask(`outputs/${artifactNumber}/${photoNumber}`, values);
}

export async function measured(artifactNumber: number, timed: Timed): Promise<void> {
  await ask(`measured/${artifactNumber}`, JSON.stringify(timed));
}

export async function failed(sentence: string): Promise<void> {
  await ask("failed", sentence);
}

export async function alive(): Promise<Heard> {
  return (await ask("alive", "")).json() as Promise<Heard>;
}
