"""python benchmarks/studies/page_speed.py [--reports 200]

How long the page takes: to be rendered from that many made-up reports with pictures, and to be loaded and filtered in
a real browser (Chromium, driven by Playwright). The table goes to `page_speed.md` and .json.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.machine import cores, cpu_model, tools
from benchmarks.page.made_up import write_reports
from benchmarks.page.markdown import markdown_table
from training.commandline import UserError, run, whole
from training.files import write_text

LOADS = 5
LOADED = "() => performance.getEntriesByType('navigation')[0].loadEventEnd"
FILTERED = """() => {
  const menu = document.querySelector("select[data-filter=device]");
  const start = performance.now();
  menu.value = menu.options[menu.options.length - 1].value;
  menu.dispatchEvent(new Event("change"));
  document.body.getBoundingClientRect();
  return performance.now() - start;
}"""


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="page_speed.py", description="Time to render and to load the page of reports."
    )
    parser.add_argument(
        "--reports", type=whole(1, 10_000), default=200, metavar="N", help="to make up (default: %(default)s)"
    )
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"), metavar="FOLDER",
                        help="where the figures go (default: %(default)s)")  # fmt: skip
    return run(parser, body, argv)


def body(args: argparse.Namespace) -> Path:
    chromium = find_chromium()
    with tempfile.TemporaryDirectory(prefix="pocket-dslr-") as name:
        reports, page = Path(name, "reports"), Path(name, "page")
        write_reports(reports, args.reports)
        start = time.perf_counter()
        subprocess.run([sys.executable, "-m", "benchmarks.render", reports, "--out", page], check=True,
                       stdout=subprocess.DEVNULL)  # fmt: skip
        render_s = time.perf_counter() - start
        index = page / "index.html"
        facts = {"reports": args.reports, "page_mb": index.stat().st_size / 1e6, "render_s": render_s}
        facts |= in_browser(chromium, index)
    facts |= {"machine": {"cpu": cpu_model(), "cores": cores()}, "tools": tools(["playwright", "jinja2", "pillow"])}
    write_text(args.out / "page_speed.json", json.dumps(facts, indent=2) + "\n")
    return write_text(args.out / "page_speed.md", table(facts))


def find_chromium() -> str:
    """The browser of the system.

    Raises:
        UserError: there is none.
    """
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if not chromium:
        raise UserError("no Chromium on this machine; install the package chromium")
    return chromium


def in_browser(chromium: str, page: Path) -> dict[str, Any]:
    """Medians over several loads, each in a window of its own, from disk."""
    from playwright.sync_api import sync_playwright

    load_ms, filter_ms = [], []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        version = browser.version
        for _ in range(LOADS):
            with browser.new_context() as context:
                tab = context.new_page()
                tab.goto(page.resolve().as_uri())
                load_ms.append(tab.evaluate(LOADED))
                filter_ms.append(tab.evaluate(FILTERED))
        browser.close()
    return {
        "load_ms": statistics.median(load_ms),
        "filter_ms": statistics.median(filter_ms),
        "loads": LOADS,
        "chromium": version,
    }


def table(facts: dict[str, Any]) -> str:
    columns = [
        ("Reports", False),
        ("Page, MB", False),
        ("Render, s", False),
        ("Load, ms", False),
        ("Filter, ms", False),
    ]
    row = [facts["reports"], f"{facts['page_mb']:.1f}", f"{facts['render_s']:.1f}", f"{facts['load_ms']:.0f}",
           f"{facts['filter_ms']:.0f}"]  # fmt: skip
    machine = facts["machine"]
    return f"""{markdown_table(columns, [row])}

Made-up reports with pictures of two photos each. Render: render.py as a process, imports included. Load: until the load
event, from disk; filter: from a choice in the menu to the new layout; medians of {facts["loads"]} loads in Chromium
{facts["chromium"]}. {machine["cpu"]}, {machine["cores"]} cores.
"""


if __name__ == "__main__":
    raise SystemExit(main())
