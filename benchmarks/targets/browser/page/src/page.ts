/** The page: load all that it will ever need, then let the visitor enhance photos and measure. */

import * as computer from "./computer.ts";
import { Work, element } from "./elements.ts";
import { Helper } from "./helper.ts";
import { MeasurePanel } from "./measure_panel.ts";
import { PhotoPanel } from "./photo_panel.ts";

async function load(): Promise<string> {
  const session = await computer.session();
  const artifacts = await Promise.all(session.artifacts.map((paths, number) => computer.artifact(number, paths)));
  const helper = new Helper();
  const { threads } = await helper.call("start", [session.protocol]);
  await helper.call("open", [artifacts[0].manifest, artifacts[0].model]);
  const work = new Work();
  new PhotoPanel(helper, artifacts, work);
  new MeasurePanel(helper, session, artifacts, work);
  work.render();
  const fewer = threads < session.protocol.threads;
  return (
    `Ready: WebAssembly on ${threads} thread${threads > 1 ? "s" : ""}` +
    (fewer ? `, not the ${session.protocol.threads} that were asked for, because ${why()}.` : ".")
  );
}

/** Why there are fewer threads than asked for. */
function why(): string {
  if (!isSecureContext) return "the link is not secure (on_browser.py --https)";
  if (!crossOriginIsolated) return "the page is not cross-origin isolated";
  return "this browser does not offer more";
}

const runtime = element("runtime", HTMLElement);
try {
  runtime.textContent = await load();
} catch (error) {
  const { message } = error as Error;
  runtime.textContent = `${message} Nothing can be measured or enhanced here.`;
  runtime.classList.add("failed");
  await computer.failed(message).catch(() => {});
}
