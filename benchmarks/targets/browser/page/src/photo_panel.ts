/** Try it on a photo: pick, enhance with progress and cancel, compare, save. Talks to the worker alone. */

import type { Artifact } from "./computer.ts";
import { element, show, type Work } from "./elements.ts";
import type { CallError, Helper } from "./helper.ts";

export class PhotoPanel {
  private readonly helper: Helper;
  private readonly artifacts: Artifact[];
  private readonly work: Work;
  private name = "photo";

  constructor(helper: Helper, artifacts: Artifact[], work: Work) {
    this.helper = helper;
    this.artifacts = artifacts;
    this.work = work;
    const models = element("model", HTMLSelectElement);
    models.append(...artifacts.map(({ manifest }, at) => new Option(manifest.name, String(at))));
    show("model-choice", artifacts.length > 1);
    const pick = element("pick", HTMLInputElement);
    pick.addEventListener("change", () => {
      const [file] = pick.files ?? [];
      pick.value = ""; // so that the same photo can be picked again
      if (file) void this.enhance(file);
    });
    element("photo-cancel", HTMLButtonElement).addEventListener("click", () => helper.cancel());
    const split = element("split", HTMLInputElement);
    split.addEventListener("input", () =>
      element("stack", HTMLElement).style.setProperty("--split", `${split.value}%`),
    );
    for (const [id, type, extension] of [
      ["save-jpeg", "image/jpeg", "jpg"],
      ["save-png", "image/png", "png"],
    ] as const) {
      element(id, HTMLButtonElement).addEventListener("click", () => void this.save(type, extension));
    }
  }

  private async enhance(file: File): Promise<void> {
    if (!this.work.begin("photo")) return;
    this.helper.begin();
    this.name = file.name.replace(/\.[^.]*$/, "") || "photo";
    const { manifest, model } = this.artifacts[Number(element("model", HTMLSelectElement).value)];
    const progress = element("photo-progress", HTMLProgressElement);
    progress.value = 0;
    show("result", false);
    this.say("Opening the photo …");
    try {
      await this.helper.call("open", [manifest, model]);
      const made = await this.helper.call("enhance", [file], (share) => {
        progress.value = share;
        this.say(`Enhancing: ${Math.floor(100 * share)} %`);
      });
      draw("before", made.before);
      draw("after", made.after);
      show("result", true);
      const megapixels = ((made.height * made.width) / 1e6).toFixed(1);
      this.say(`${made.width} × ${made.height} pixels (${megapixels} megapixels) in ${made.seconds.toFixed(1)} s.`);
    } catch (error) {
      const { cancelled, message } = error as CallError;
      this.say(cancelled ? "Cancelled. Nothing was kept." : message, !cancelled);
    } finally {
      this.work.end();
    }
  }

  private async save(type: "image/jpeg" | "image/png", extension: string): Promise<void> {
    if (!this.work.begin("photo")) return;
    this.helper.begin();
    this.say("Saving …");
    try {
      const link = document.createElement("a");
      link.href = URL.createObjectURL(await this.helper.call("encode", [type]));
      link.download = `${this.name}-enhanced.${extension}`;
      link.click();
      setTimeout(() => URL.revokeObjectURL(link.href), 60_000); // a slow disk may still read it
      this.say(`Saved as ${link.download}.`);
    } catch (error) {
      this.say(`The picture could not be saved: ${(error as Error).message}`, true);
    } finally {
      this.work.end();
    }
  }

  private say(sentence: string, bad = false): void {
    const status = element("photo-status", HTMLElement);
    status.textContent = sentence;
    status.classList.toggle("failed", bad);
  }
}

function draw(id: "before" | "after", picture: ImageBitmap): void {
  const canvas = element(id, HTMLCanvasElement);
  canvas.width = picture.width;
  canvas.height = picture.height;
  canvas.getContext("bitmaprenderer")!.transferFromImageBitmap(picture);
}
