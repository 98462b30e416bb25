"""python benchmarks/on_browser.py ARTIFACT_FOLDER... [--https] [--photos DIR] [--out runs/reports]

Measures TFLite artifacts in a browser, of a phone for instance: scan the code that this shows, and open the link there.
LiteRT.js runs them in WebAssembly (or `--backend webgpu`); the page can also enhance a photo, which never leaves the
device. Only this page is served, in the local network, to the first browser that opens the link, until all is done.

Several threads, and WebGPU, exist in a secure page only: `--https`, whose certificate the browser warns of once, or
this machine's own browser with `--address localhost`. The report says what was asked for and what did the work.
Exit code 1 if an artifact is below its floor, or if nothing was measured; in the first case there is a report.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import logging
import re
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.bench import BenchError, Measurement, Photo, bench
from benchmarks.machine import tools
from benchmarks.report import Kind, Protocol, Report, Target
from benchmarks.report.verdict import what_fails
from benchmarks.targets.browser.build import SOURCES, built_page
from benchmarks.targets.browser.server import PageServer
from benchmarks.targets.browser.session import SAMPLES_MOST, SamplePhoto, Session, Verdict
from benchmarks.targets.browser.tls import Certificate, own_address
from benchmarks.targets.references import find_references, read_pairs, read_photos
from conversion.artifact import Artifact
from training.commandline import UserError, real, run, whole

log = logging.getLogger(__name__)
MOBILE = re.compile(r"\b(Android|iPhone|iPad|Mobile)\b")
BROWSERS = {"Edg": "Edge", "OPR": "Opera", "SamsungBrowser": "Samsung Internet", "FxiOS": "Firefox", "CriOS": "Chrome",
            "Firefox": "Firefox", "Chrome": "Chrome", "Version": "Safari"}  # fmt: skip
SYSTEMS = (r"Android [\d.]+", r"iPhone OS [\d_]+", r"CPU OS [\d_]+", r"Windows NT [\d.]+", r"Mac OS X [\d_.]+",
           "CrOS", "Linux")  # fmt: skip
SAY_GOODBYE_S = 3.0  # the page asks every 2 s


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="on_browser.py", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("artifacts", type=Path, nargs="+", metavar="ARTIFACT_FOLDER", help="what to_tflite.py made")
    add("--checkpoint", action="append", default=[], metavar="NAME_OR_PATH",
        help="what the artifacts were made from, for the float reference; releases are found by themselves; give it "
        "once for each checkpoint")  # fmt: skip
    source = parser.add_mutually_exclusive_group()
    source.add_argument("--photos", type=Path, metavar="DIR", help="photos to compare (default: the embedded sample)")
    source.add_argument("--pairs", type=Path, metavar="DIR", help="photo pairs, of which the fidelity split is used")
    add("--backend", choices=("wasm", "webgpu"), default="wasm", help="asked of the browser (default: %(default)s)")
    add("--threads", type=whole(1, 1024), default=2, help="asked of the browser (default: %(default)s)")
    add("--warm-up", type=whole(0, 10_000), default=3, metavar="N", help="runs not counted (default: %(default)s)")
    add("--runs", type=whole(1, SAMPLES_MOST), default=20, help="timed runs per entry point (default: %(default)s)")
    add("--device", metavar="NAME", help="what reports call the device (default: browser and system)")
    add("--https", action="store_true", help="with a certificate of its own, for threads and WebGPU on another device")
    add("--address", help="of this machine, to listen on (default: its address in the local network)")
    add("--port", type=whole(0, 65_535), default=0, help="to listen on (default: any that is free)")
    add(
        "--wait",
        type=real(0, 10_000, above=True),
        default=15.0,
        metavar="MINUTES",
        help="for somebody to start (default: %(default)s)",
    )
    add("--out", type=Path, default=Path("runs/reports"), metavar="FOLDER",
        help="where reports and pictures go (default: %(default)s)")  # fmt: skip
    return run(parser, body, argv)


def body(args: argparse.Namespace) -> Path:
    artifacts = [Artifact.load(folder).verify() for folder in args.artifacts]
    for artifact in artifacts:
        if artifact.manifest.format != "tflite":
            raise BenchError(f"{artifact.folder}: browsers run TFLite artifacts only; make one with to_tflite.py")
    references = find_references(artifacts, args.checkpoint)
    photos = read_photos(args.photos) if args.photos else read_pairs(args.pairs)
    protocol = Protocol(args.warm_up, args.runs, args.threads, cool_down_s=0.0)
    session = Session(artifacts, [SamplePhoto(p.name, p.phone) for p in photos], protocol, args.backend)
    asked = f"wasm, {args.threads} thread{'s' * (args.threads > 1)}" if args.backend == "wasm" else args.backend
    page, address = built_page(), args.address or own_address()
    reports: list[Report] = []
    failed: list[str] = []
    with TemporaryDirectory(prefix="pocket-dslr-") as folder:
        certificate = Certificate.new(address, Path(folder)) if args.https else None
        with listening(page, session, address, args.port, certificate) as server:
            invite(server, args.wait, certificate)
            try:
                for artifact, reference in zip(artifacts, references, strict=True):
                    timed, outputs = session.wait_for(artifact, 60 * args.wait)
                    log.info("%s: measured, comparing %d photos", artifact.manifest.name, len(photos))
                    measurement = Measurement(outputs, timed.load_s, timed.analyze_s, timed.enhance_s, None, None,
                                              timed.unit, tool_versions())  # fmt: skip
                    target = target_of(session, server, asked, args.device, timed.calls)
                    report = bench(
                        artifact, reference, photos, target, protocol, partial(hand_over, measurement), args.out
                    )
                    reports.append(report)
                    session.show(Verdict(report.artifact.name, report.verdict.fidelity, summary(report)))
                    failed += what_fails(report)
            except UserError as error:
                session.end(f"{error}.", SAY_GOODBYE_S)
                raise
            session.end(None, SAY_GOODBYE_S)
    compare_speed(reports)
    if failed:
        raise BenchError(f"{args.out}: reports are written, but not all is well: {'; '.join(failed)}; convert again or "
                         "choose another precision")  # fmt: skip
    return args.out


def hand_over(measurement: Measurement, artifact: Artifact, photos: Sequence[Photo], protocol: Protocol) -> Measurement:
    """What bench calls to measure: the browser has done it already."""
    return measurement


def listening(
    page: dict[str, bytes], session: Session, address: str, port: int, certificate: Certificate | None
) -> PageServer:
    """Raises BenchError: nothing can listen there."""
    try:
        return PageServer(page, session, address, port, certificate.context if certificate else None)
    except OSError as error:
        raise BenchError(f"nothing can listen at {address} port {port} ({error.strerror}); choose another --address "
                         "or --port") from None  # fmt: skip


def invite(server: PageServer, wait_minutes: float, certificate: Certificate | None) -> None:
    """Print the link and its code."""
    with contextlib.suppress(ImportError):  # the link does as well
        import segno

        segno.make(server.link, error="m").terminal(out=sys.stderr, compact=True)
    log.info("Scan the code with a phone in the same network, or open %s", server.link)
    if certificate:
        log.info("The browser will warn of a certificate that it does not know; its SHA-256 is %s", certificate.sha256)
    log.info("Waiting %g minutes for a browser. The link works in the first browser that opens it.", wait_minutes)


def target_of(session: Session, server: PageServer, asked: str, device: str | None, calls: int) -> Target:
    """Host or physical, as the browser is: physical is a mobile browser that is not on this machine."""
    agent = session.facts.get("user_agent", "")
    here = session.address in (server.address, "127.0.0.1", "::1")
    kind: Kind = "physical" if MOBILE.search(agent) and not here else "host"
    browser, system = browser_of(agent), system_of(agent)
    name = device or f"{browser.split('.')[0]} {system}"
    facts = session.facts | {"browser": browser, "calls_per_sample": str(calls)}
    cores = session.facts.get("logical_cores", "?")
    slug = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
    return Target(kind, f"browser-{slug}", f"{cores} logical cores", system, asked, asked, facts)


def browser_of(user_agent: str) -> str:
    """Name and version, such as "Chrome 156.0.0.0"."""
    for token, name in BROWSERS.items():
        if found := re.search(rf"{token}[A-Za-z]*/([\d.]+)", user_agent):
            return f"{name} {found.group(1)}"
    return "unknown browser"


def system_of(user_agent: str) -> str:
    """As the browser puts it, such as "Android 16"; browsers keep it vague on purpose."""
    found = next((match.group() for pattern in SYSTEMS if (match := re.search(pattern, user_agent))), "unknown system")
    return found.replace("_", ".").replace("CPU OS", "iPadOS").replace("iPhone OS", "iOS")


def tool_versions() -> dict[str, str]:
    packages = json.loads((SOURCES / "package.json").read_text())["dependencies"]
    return tools(["numpy", "torch"]) | {"@litertjs/core": packages["@litertjs/core"]}


def summary(report: Report) -> str:
    """One line for the page."""
    fidelity = report.fidelity
    said = [f"{fidelity.psnr_db_mean:.1f} dB to float, worst {fidelity.psnr_db_worst:.1f}"]
    if report.timing:
        said.insert(0, f"{report.timing.enhance_ms_per_megapixel:.0f} ms per megapixel")
    said.append(report.target.compute_unit_actual)
    return ", ".join([*said, f"latency {report.verdict.latency}"])


def compare_speed(reports: Sequence[Report]) -> None:
    """Log the time per megapixel of each, and how many times as fast as the slowest it is."""
    timed = {r.artifact.name: r.timing.enhance_ms_per_megapixel for r in reports if r.timing}
    slowest = max(timed, key=lambda name: timed[name], default=None)
    for name, ms in timed.items():
        ratio = f", {timed[slowest] / ms:.1f} times as fast as {slowest}" if slowest and name != slowest else ""
        log.info("%s: %.0f ms per megapixel%s", name, ms, ratio)


if __name__ == "__main__":
    raise SystemExit(main())
