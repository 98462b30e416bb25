/** Measure this device: the protocol of the computer, artifact by artifact; verdicts come with its signs of life. */

import * as computer from "./computer.ts";
import { element, type Work } from "./elements.ts";
import type { CallError, Helper } from "./helper.ts";

const SIGN_OF_LIFE_MS = 2000;
const MISSED_MOST = 3;

export class MeasurePanel {
  private readonly helper: Helper;
  private readonly session: computer.Session;
  private readonly artifacts: computer.Artifact[];
  private readonly work: Work;
  private readonly rows: HTMLElement[];
  private missed = 0;
  private running = false;
  private ended: string | null = null;

  constructor(helper: Helper, session: computer.Session, artifacts: computer.Artifact[], work: Work) {
    this.helper = helper;
    this.session = session;
    this.artifacts = artifacts;
    this.work = work;
    const { runs, warm_up_runs: warmUp } = session.protocol;
    const [models, photos] = [count(artifacts.length, "model"), count(session.photos.length, "sample photo")];
    element("measuring-lead", HTMLElement).textContent =
      `${models}: ${warmUp} warm-up and ${count(runs, "timed run")} each, then ${photos} for fidelity. ` +
      "The results go to the computer that showed you the code. Keep this page in front.";
    this.rows = artifacts.map(({ manifest }) => row(manifest.name));
    element("artifacts", HTMLElement).append(...this.rows);
    element("measure", HTMLButtonElement).addEventListener("click", () => void this.measure());
    element("measure-cancel", HTMLButtonElement).addEventListener("click", () => this.helper.cancel());
    setTimeout(() => void this.signOfLife(), SIGN_OF_LIFE_MS);
  }

  private async measure(): Promise<void> {
    if (!this.work.begin("measure")) return;
    this.helper.begin();
    this.running = true;
    const progress = element("measure-progress", HTMLProgressElement);
    // A screen that goes dark slows the browser down; where it cannot be kept on, the sentence above asks for it.
    const screenOn = await navigator.wakeLock?.request("screen").catch(() => null);
    try {
      await computer.started(facts());
      for (const [number, { manifest, model }] of this.artifacts.entries()) {
        const steps = 1 + this.session.photos.length;
        const share = (done: number) => (within: number) => {
          progress.value = (number + (done + within) / steps) / this.artifacts.length;
        };
        const say = (what: string) => this.say(`${manifest.name}: ${what}`);
        state(this.rows[number], "measuring", "waiting");
        say("timing …");
        await this.helper.call("open", [manifest, model]);
        const timed = await this.helper.call("time", [this.session.photos[0], await computer.samplePhoto(0)], share(0));
        for (const [at, photo] of this.session.photos.entries()) {
          say(`photo ${at + 1} of ${this.session.photos.length} …`);
          const output = await this.helper.call("output", [photo, await computer.samplePhoto(at)], share(1 + at));
          await computer.output(number, at, output);
        }
        await computer.measured(number, timed);
        state(this.rows[number], "measured, being judged", "waiting");
      }
      this.say("Measured. The computer compares the photos with the float reference …");
    } catch (error) {
      await this.giveUp(error as Error);
    } finally {
      void screenOn?.release();
      this.running = false;
      this.work.measurable = false;
      this.work.end();
    }
  }

  private async giveUp(error: Error): Promise<void> {
    const cancelled = (error as CallError).cancelled === true;
    const sentence = cancelled ? "The measurement was cancelled on the page; no report is written." : error.message;
    const known = this.ended; // by the computer, too: it gave up, or it is gone
    this.end(known ?? sentence);
    if (!known && !(error instanceof computer.ConnectionError)) await computer.failed(sentence).catch(() => {});
  }

  private async signOfLife(): Promise<void> {
    try {
      const heard = await computer.alive();
      this.missed = 0;
      for (const { artifact, fidelity, text } of heard.verdicts) {
        const at = this.artifacts.findIndex(({ manifest }) => manifest.name === artifact);
        state(this.rows[at], fidelity, fidelity);
        this.rows[at].querySelector(".figures")!.textContent = text;
      }
      if (heard.stopped) return this.end(heard.stopped);
      if (heard.over) {
        this.work.measurable = false;
        this.work.render();
        return this.say("All is measured and reported. You can close this page, or enhance photos with it.");
      }
    } catch {
      if (++this.missed >= MISSED_MOST) return this.end(computer.LOST);
    }
    setTimeout(() => void this.signOfLife(), SIGN_OF_LIFE_MS);
  }

  private end(sentence: string): void {
    this.ended = sentence;
    if (this.running) this.helper.cancel();
    this.work.measurable = false;
    this.work.render();
    for (const one of this.rows) if (one.querySelector(".waiting")) state(one, "not measured", "waiting");
    this.say(sentence, true);
  }

  private say(sentence: string, bad = false): void {
    const status = element("measure-status", HTMLElement);
    status.textContent = sentence;
    status.classList.toggle("failed", bad);
  }
}

function count(number: number, what: string): string {
  return `${number} ${what}${number === 1 ? "" : "s"}`;
}

function row(name: string): HTMLElement {
  const item = document.createElement("li");
  for (const [kind, text] of [
    ["name", name],
    ["state waiting", "to be measured"],
    ["figures", ""],
  ]) {
    item.append(Object.assign(document.createElement("span"), { className: kind, textContent: text }));
  }
  return item;
}

function state(item: HTMLElement, text: string, kind: string): void {
  Object.assign(item.querySelector(".state")!, { className: `state ${kind}`, textContent: text });
}

/** What the browser says of itself, none of which identifies a device or its owner. */
function facts(): Record<string, string> {
  const { userAgent, hardwareConcurrency } = navigator;
  const { deviceMemory } = navigator as Navigator & { deviceMemory?: number };
  return {
    user_agent: userAgent,
    logical_cores: String(hardwareConcurrency),
    ...(deviceMemory ? { memory_gib_at_most: String(deviceMemory) } : {}),
    cross_origin_isolated: crossOriginIsolated ? "yes" : "no",
    screen_px: `${Math.round(screen.width * devicePixelRatio)} x ${Math.round(screen.height * devicePixelRatio)}`,
  };
}
