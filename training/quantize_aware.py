"""python training/quantize_aware.py --checkpoint pocket-iphone

Makes a checkpoint bear 8-bit convolutions, whatever the backend. First channels are rescaled so that none wastes the
range of its tensor (which changes nothing else), then the convolutions of enhance learn, with rounding imitated, to
answer what the network answers now. At last all kernels, those of analyze as well, are rounded to whole multiples of a
step for each output channel: 8 bits then store them without loss. Out comes an ordinary float checkpoint that every
converter quantizes. The same command again resumes a run that was interrupted.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from tqdm import tqdm
from tqdm.contrib.logging import logging_redirect_tqdm

from training.checkpoint import Checkpoint, CheckpointError
from training.commandline import UserError, log, run
from training.data.batches import Batch, Batches
from training.data.packed import load as load_packed
from training.data.pairs import find_pairs, usable
from training.generators.base import Generator
from training.loop import resume
from training.quality.metrics import mse_to_psnr
from training.quantization.equalization import equalize
from training.quantization.fake_quantization import (
    FakeQuantization,
    convolutions_of_enhance,
    fake_quantized,
    put_on_grid,
)

# With 8 bits the error of rounding is lost in what learning itself stirs up. What helps with 5 helps with 8.
ACTIVATION_BITS = 5
FLOAT_WEIGHT = 3.0  # of the float network's own error beside that of the quantized one
WARM_UP_STEPS = 20
SAVE_EVERY = 100
SPAN_BATCHES, JUDGE_BATCHES, JUDGE_BATCH = 16, 8, 16
CPU = torch.device("cpu")


def parse() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="quantize_aware.py", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--checkpoint", required=True, metavar="NAME_OR_PATH", help="a released name or a path")
    add("--pairs", type=Path, help="photo pairs, of which the phone side counts (default: the embedded sample)")
    add("--packed", type=Path, nargs="*", default=[], metavar="FOLDER", help="learn from these samples of teach.py or "
        "simulate.py; the pairs then only judge")  # fmt: skip
    add("--steps", type=int, default=600, help="optimizer steps; 0 only rescales and rounds (default: %(default)s)")
    add("--batch", type=int, default=16, help="patches per step (default: %(default)s)")
    add("--patch", type=int, default=64, help="side of a patch in px (default: %(default)s)")
    add("--lr", type=float, default=1e-3, help="learning rate of Adam (default: %(default)s)")
    add("--seed", type=int, default=0, help="of what is random (default: %(default)s)")
    add("--out", type=Path, help="folder of the run (default: runs/<checkpoint>-qat)")
    return parser


def quantize_aware(args: argparse.Namespace) -> Path:
    source, original = Checkpoint.load(args.checkpoint), Checkpoint.load(args.checkpoint).generator
    generator = source.generator
    out: Path = args.out or Path("runs") / f"{source.name}-qat"
    if min(args.batch, args.patch) < 1 or args.patch % generator.tiling.align:
        raise UserError(f"--batch {args.batch} --patch {args.patch}: {source.name} needs at least one patch per step, "
                        f"its side a multiple of {generator.tiling.align} px")  # fmt: skip
    splits = find_pairs(args.pairs, seed=args.seed)
    pairs = usable(splits.train, log.warning)
    packed = [load_packed(folder, args.patch, generator.thumbnail_px) for folder in args.packed]
    sizes = args.batch, args.patch, generator.thumbnail_px, args.seed
    batches = Batches(pairs, args.steps + SPAN_BATCHES, *sizes, packed, packed_share=1.0)
    calibration, judges = (
        [Batches(part, JUDGE_BATCHES, JUDGE_BATCH, *sizes[1:])[k][0].to(CPU) for k in range(JUDGE_BATCHES)]
        for part in (usable(splits.calibration, log.warning), usable(splits.fidelity, log.warning))
    )

    samples = [batches[args.steps + k][0].to(CPU) for k in range(SPAN_BATCHES)]
    varied = [(b.phone, b.thumbnail) for k, one in enumerate(samples) for b in (one, recoloured(one, [args.seed, k]))]

    layers = convolutions_of_enhance(generator)
    before = fidelity(generator, layers, calibration, judges)
    log.info("8 bits before: %s", in_words(before))
    settings = {name: str(value) for name, value in sorted(vars(args).items()) if name != "out"}
    settings |= {"checkpoint": source.sha256, "packed": str([samples.facts["sha256"] for samples in packed])}
    modules: dict[str, nn.Module] = {"generator": generator}
    optimizer = torch.optim.Adam([p for layer in layers for p in generator.get_submodule(layer).parameters()], lr=0.0)
    state_file, start = out / "resume.safetensors", 0
    if state_file.exists():
        header = resume.load(state_file, modules, {"adam": optimizer})
        if header["settings"] != settings:
            raise CheckpointError(f"{out}: holds a run with other settings; choose another --out or remove it")
        start = header["step"]
        log.info("resuming at step %d", start)
    else:
        if equalize(generator, varied):
            log.info("8 bits with channels rescaled: %s", in_words(fidelity(generator, layers, calibration, judges)))

    bar = tqdm(total=args.steps, initial=start, unit="step", desc="learning to bear 8 bits", mininterval=1)
    with logging_redirect_tqdm(), bar:
        for step in range(start, args.steps):
            for group in optimizer.param_groups:
                group["lr"] = args.lr * schedule(step, args.steps)
            with fake_quantized(generator, layers, activation_bits=ACTIVATION_BITS) as quantization:
                batch = half_recoloured(batches[step][0].to(CPU), [args.seed, step])
                errors = learn(generator, original, quantization, batch, optimizer, step)
            bar.update()
            bar.set_postfix({name: f"{mse_to_psnr(error):.1f} dB" for name, error in errors.items()}, refresh=False)
            if (step + 1) % SAVE_EVERY == 0:
                resume.save(state_file, modules, {"adam": optimizer}, {"step": step + 1, "settings": settings})

    equalize(generator, varied)
    put_on_grid(generator)
    after, drift = fidelity(generator, layers, calibration, judges), agreement(generator, original, judges)
    log.info("8 bits now: %s; this network against the one before, both float: %s", in_words(after), in_words(drift))
    licences = set(source.provenance.get("licences", [source.licence]))
    licences |= {licence for samples in packed for licence in samples.facts["licences"]}
    licences |= {pair.licence for pair in pairs} if not packed else set()
    checkpoint = Checkpoint(
        generator.eval(),
        licence="trained on photos of these licences: " + "; ".join(sorted(licences)),
        scores={"imitated_w8a8_before": before, "imitated_w8a8": after, "float_against_source": drift},
        provenance={
            "settings": settings | {"pairs": splits.description},
            "source": {"name": source.name, "sha256": source.sha256, "provenance": source.provenance},
            "steps": args.steps,
            "licences": sorted(licences),
        },
        name=out.name,
    )
    return checkpoint.save(out / "checkpoint.safetensors")


def learn(
    generator: Generator,
    original: Generator,
    quantization: FakeQuantization,
    batch: Batch,
    optimizer: torch.optim.Optimizer,
    step: int,
) -> dict[str, float]:
    """One step towards the original's answers, quantized and float. -> the two mean squared errors.

    Raises:
        UserError: the loss is not a finite number.
    """
    with torch.no_grad():
        wanted = original.enhance(batch.phone, *original.analyze(batch.thumbnail))
    quantization.mode = "float"  # the condition is float in every precision
    condition = generator.analyze(batch.thumbnail)
    exact = (generator.enhance(batch.phone, *condition) - wanted).square().mean()
    quantization.mode = "batch"
    rounded = (generator.enhance(batch.phone, *condition) - wanted).square().mean()
    loss = rounded + FLOAT_WEIGHT * exact
    if not torch.isfinite(loss):
        raise UserError(f"step {step + 1}: the loss is not a finite number; try a smaller --lr")
    optimizer.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]
    optimizer.step()
    return {"rounded": rounded.item(), "float": exact.item()}


def schedule(step: int, steps: int) -> float:
    """Share of the learning rate: a short way up, then down along half a cosine."""
    return min(1.0, (step + 1) / WARM_UP_STEPS) * (1 + math.cos(math.pi * step / steps)) / 2


def recoloured(batch: Batch, seed: Sequence[int]) -> Batch:
    """Each photo with its channels in another order and each to a power of its own: neon light, stages, sunsets.

    Few photos show such colours, but activations must have room for those that do. There is no DSLR side then.
    """
    random = np.random.default_rng(list(seed))

    def change(images: Tensor, orders: list[Any], powers: Tensor) -> Tensor:
        return torch.stack([image[order] for image, order in zip(images, orders, strict=True)]) ** powers

    count = len(batch.phone)
    orders = [random.permutation(3) for _ in range(count)]
    powers = torch.from_numpy(np.exp(0.8 * random.standard_normal((count, 3, 1, 1)))).float()
    phone, thumbnail = (change(images, orders, powers) for images in (batch.phone, batch.thumbnail))
    return Batch(phone, phone, thumbnail)


def half_recoloured(batch: Batch, seed: Sequence[int]) -> Batch:
    other, half = recoloured(batch, seed), len(batch.phone) // 2

    def joined(new: Tensor, old: Tensor) -> Tensor:
        return torch.cat([new[:half], old[half:]])

    phone = joined(other.phone, batch.phone)
    return Batch(phone, phone, joined(other.thumbnail, batch.thumbnail))


@torch.no_grad()
def fidelity(
    generator: Generator, layers: Sequence[str], calibration: Iterable[Batch], judges: Iterable[Batch]
) -> dict[str, float]:
    """PSNR in dB of `enhance` with 8-bit convolutions, imitated, against float: mean and worst patch."""
    with fake_quantized(generator, layers) as quantization:

        def answers(batches: Iterable[Batch], mode: Any) -> list[Tensor]:
            found = []
            for batch in batches:
                quantization.mode = "float"
                condition = generator.analyze(batch.thumbnail)
                quantization.mode = mode
                found.append(generator.enhance(batch.phone, *condition).clamp(0, 1))
            return found

        answers(calibration, "observe")
        return _psnr(answers(judges, "calibrated"), answers(judges, "float"))


@torch.no_grad()
def agreement(generator: Generator, original: Generator, judges: Iterable[Batch]) -> dict[str, float]:
    """PSNR in dB of one float network against another: mean and worst patch."""
    one, other = (
        [network.enhance(b.phone, *network.analyze(b.thumbnail)).clamp(0, 1) for b in judges]
        for network in (generator, original)
    )
    return _psnr(one, other)


def _psnr(found: Sequence[Tensor], wanted: Sequence[Tensor]) -> dict[str, float]:
    errors = (torch.cat(list(found)) - torch.cat(list(wanted))).square().mean((1, 2, 3)).tolist()
    psnrs = [mse_to_psnr(error) for error in errors]
    return {"psnr_mean_db": float(np.mean(psnrs)), "psnr_worst_db": min(psnrs)}


def in_words(found: dict[str, float]) -> str:
    return f"{found['psnr_mean_db']:.1f} dB mean, {found['psnr_worst_db']:.1f} dB worst patch"


def main(argv: Sequence[str] | None = None) -> int:
    return run(parse(), quantize_aware, argv)


if __name__ == "__main__":
    raise SystemExit(main())
