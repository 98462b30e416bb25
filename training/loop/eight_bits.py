"""What quantize_aware.py does: a network learns to answer the same with 8-bit convolutions."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from tqdm import tqdm

from training.checkpoint import Checkpoint, CheckpointError
from training.commandline import UserError, log
from training.data.batches import Batch, Batches
from training.data.packed import Packed
from training.data.packed import load as load_packed
from training.data.pairs import find_pairs, usable
from training.data.photo_pair import PhotoPair
from training.generators.base import Generator
from training.loop import resume
from training.loop.recipes import Schedule
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


@dataclass(frozen=True, kw_only=True)
class EightBitSettings:
    """One field a flag of quantize_aware.py."""

    checkpoint: str
    pairs: Path | None
    packed: tuple[Path, ...]
    steps: int
    batch: int
    patch: int
    lr: float
    seed: int
    out: Path | None


@dataclass(frozen=True)
class Samples:
    """calibration, judges: batches of their splits. varied: (phone, thumbnail) of usual and unusual colours."""

    pairs: list[PhotoPair]
    packed: list[Packed]
    batches: Batches
    calibration: list[Batch]
    judges: list[Batch]
    varied: list[tuple[Tensor, Tensor]]
    description: str


def learn_eight_bits(settings: EightBitSettings) -> Path:
    """Rescale, learn, round. Returns the checkpoint.

    Raises:
        UserError: settings that do not fit the network, or pairs and samples that cannot be used.
    """
    source = Checkpoint.load(settings.checkpoint)
    original, generator = Checkpoint.load(settings.checkpoint).generator, source.generator
    out = settings.out or Path("runs") / f"{source.name}-qat"
    if settings.patch % generator.tiling.align:
        raise UserError(
            f"--patch {settings.patch}: {source.name} needs a side that is a multiple of {generator.tiling.align} px"
        )
    samples = _samples(settings, generator)
    layers = convolutions_of_enhance(generator)
    before = fidelity(generator, layers, samples.calibration, samples.judges)
    log.info("8 bits before: %s", in_words(before))
    identity = {name: str(value) for name, value in sorted(asdict(settings).items()) if name != "out"}
    identity |= {"checkpoint": source.sha256, "packed": str([one.facts["sha256"] for one in samples.packed])}
    _fit(settings, generator, original, samples, identity, out / "resume.safetensors")

    equalize(generator, samples.varied)
    put_on_grid(generator)
    after = fidelity(generator, layers, samples.calibration, samples.judges)
    drift = agreement(generator, original, samples.judges)
    log.info("8 bits now: %s; this network against the one before, both float: %s", in_words(after), in_words(drift))
    licences = set(source.provenance.get("licences", [source.licence]))
    licences |= {licence for one in samples.packed for licence in one.facts["licences"]}
    licences |= {pair.licence for pair in samples.pairs} if not samples.packed else set()
    checkpoint = Checkpoint(
        generator.eval(),
        licence="trained on photos of these licences: " + "; ".join(sorted(licences)),
        scores={"imitated_w8a8_before": before, "imitated_w8a8": after, "float_against_source": drift},
        provenance={
            "settings": identity | {"pairs": samples.description},
            "source": {"name": source.name, "sha256": source.sha256, "provenance": source.provenance},
            "steps": settings.steps,
            "licences": sorted(licences),
        },
        name=out.name,
    )
    return checkpoint.save(out / "checkpoint.safetensors")


def _samples(settings: EightBitSettings, generator: Generator) -> Samples:
    splits = find_pairs(settings.pairs, seed=settings.seed)
    pairs = usable(splits.train, log.warning)
    packed = [load_packed(folder, settings.patch, generator.thumbnail_px) for folder in settings.packed]

    def batches(of: Sequence[PhotoPair], steps: int, batch: int, packed: Sequence[Packed] = ()) -> Batches:
        return Batches(
            of, steps=steps, batch=batch, patch_px=settings.patch, thumbnail_px=generator.thumbnail_px,
            seed=settings.seed, packed=packed, packed_share=1.0,
        )  # fmt: skip

    learning = batches(pairs, settings.steps + SPAN_BATCHES, settings.batch, packed)
    calibration, judges = (
        [drawn[0].to(CPU) for drawn in map(batches(part, JUDGE_BATCHES, JUDGE_BATCH).__getitem__, range(JUDGE_BATCHES))]
        for part in (usable(splits.calibration, log.warning), usable(splits.fidelity, log.warning))
    )
    usual = [learning[settings.steps + index][0].to(CPU) for index in range(SPAN_BATCHES)]
    varied = [
        (batch.phone, batch.thumbnail)
        for index, one in enumerate(usual)
        for batch in (one, recoloured(one, [settings.seed, index]))
    ]
    return Samples(pairs, packed, learning, calibration, judges, varied, splits.description)


def _fit(
    settings: EightBitSettings, generator: Generator, original: Generator, samples: Samples,
    identity: dict[str, str], state_file: Path,
) -> None:  # fmt: skip
    """Rescale channels, then all steps, or those that an interrupted run has left."""
    layers = convolutions_of_enhance(generator)
    modules: dict[str, nn.Module] = {"generator": generator}
    optimizer = torch.optim.Adam([p for layer in layers for p in generator.get_submodule(layer).parameters()], lr=0.0)
    start, schedule = 0, Schedule(0, settings.steps, warm_up=WARM_UP_STEPS)
    if state_file.exists():
        header = resume.load(state_file, modules, {"adam": optimizer})
        if header["settings"] != identity:
            raise CheckpointError(
                f"{state_file.parent}: holds a run with other settings; choose another --out or remove it"
            )
        start = header["step"]
        log.info("resuming at step %d", start)
    elif equalize(generator, samples.varied):
        rescaled = fidelity(generator, layers, samples.calibration, samples.judges)
        log.info("8 bits with channels rescaled: %s", in_words(rescaled))

    bar = tqdm(total=settings.steps, initial=start, unit="step", desc="learning to bear 8 bits", mininterval=1,
               disable=None)  # fmt: skip
    with bar:
        for step in range(start, settings.steps):
            for group in optimizer.param_groups:
                group["lr"] = settings.lr * schedule.share(step)
            with fake_quantized(generator, layers, activation_bits=ACTIVATION_BITS) as quantization:
                batch = half_recoloured(samples.batches[step][0].to(CPU), [settings.seed, step])
                errors = learn(generator, original, quantization, batch, optimizer=optimizer, step=step)
            bar.update()
            bar.set_postfix({name: f"{mse_to_psnr(error):.1f} dB" for name, error in errors.items()}, refresh=False)
            if (step + 1) % SAVE_EVERY == 0:
                resume.save(state_file, modules, {"adam": optimizer}, {"step": step + 1, "settings": identity})


def learn(
    generator: Generator,
    original: Generator,
    quantization: FakeQuantization,
    batch: Batch,
    *,
    optimizer: torch.optim.Optimizer,
    step: int,
) -> dict[str, float]:
    """One step towards the original's answers, quantized and float. -> the two mean squared errors.

    Raises:
        UserError: the loss is not a finite number.
    """
    with torch.no_grad():
        target = original.enhance(batch.phone, *original.analyze(batch.thumbnail))
    quantization.mode = "float"  # the condition is float in every precision
    condition = generator.analyze(batch.thumbnail)
    exact = (generator.enhance(batch.phone, *condition) - target).square().mean()
    quantization.mode = "batch"
    rounded = (generator.enhance(batch.phone, *condition) - target).square().mean()
    loss = rounded + FLOAT_WEIGHT * exact
    if not torch.isfinite(loss):
        raise UserError(f"step {step + 1}: the loss is not a finite number; try a smaller --lr")
    optimizer.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]
    optimizer.step()
    return {"rounded": rounded.item(), "float": exact.item()}


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
            outputs = []
            for batch in batches:
                quantization.mode = "float"
                condition = generator.analyze(batch.thumbnail)
                quantization.mode = mode
                outputs.append(generator.enhance(batch.phone, *condition).clamp(0, 1))
            return outputs

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


def _psnr(outputs: Sequence[Tensor], target: Sequence[Tensor]) -> dict[str, float]:
    errors = (torch.cat(list(outputs)) - torch.cat(list(target))).square().mean((1, 2, 3)).tolist()
    psnrs = [mse_to_psnr(error) for error in errors]
    return {"psnr_mean_db": float(np.mean(psnrs)), "psnr_worst_db": min(psnrs)}


def in_words(outputs: dict[str, float]) -> str:
    return f"{outputs['psnr_mean_db']:.1f} dB mean, {outputs['psnr_worst_db']:.1f} dB worst patch"
