"""MODEL_CARD.md of an artifact: what it is, for people, from the manifest and the checkpoint alone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from conversion.artifact import Fidelity, Manifest, Quantization, TensorSpec
from training.checkpoint import Checkpoint

CARD = "MODEL_CARD.md"
SCORES = {  # of training/quantize_aware.py: all are PSNR to the float network on photos
    "float_against_source": "weights on the grid of 8 bits against the network they were made from",
    "imitated_w8a8": "computed in 8 bits, after the weights learned to bear it",
    "imitated_w8a8_before": "computed in 8 bits, before that",
    "psnr_mean_db": "mean PSNR",
    "psnr_worst_db": "of the worst photo",
}


def model_card(manifest: Manifest, checkpoint: Checkpoint) -> str:
    tiling = manifest.tiling
    tensors = "\n".join(
        f"| {point.name} | {direction} | {_row(spec)} |"
        for point in manifest.entry_points
        for direction, specs in (("in", point.inputs), ("out", point.outputs))
        for spec in specs
    )
    return f"""# {manifest.name}

An image enhancer: a phone photo in, a photo in the look of a DSLR camera out, tile by tile, on the device.
Generator `{manifest.source.generator}` of checkpoint `{manifest.source.name}`.
Format {manifest.format} for {manifest.target}, precision {manifest.precision}, {manifest.model_bytes:,} bytes.

**Licence of the weights:** {manifest.licence}

## How to run it
Once per photo, `analyze` its {manifest.thumbnail_px} px thumbnail; then `enhance` every tile with that condition.
Tiles of {tiling.tile_px} px, of which {tiling.halo_px} px on each side are halo and thrown away;
origins at multiples of {tiling.align_px} px; border rule "{tiling.border}". Colour: {manifest.colour}.

| entry point | | tensor | shape | layout | range |
|---|---|---|---|---|---|
{tensors}

## Numbers
{_numbers(manifest.quantization)}

## Fidelity: this artifact against the float model
{_fidelity(manifest.fidelity)}

A device passes its self-test when the golden tile agrees to {manifest.golden.tolerance_psnr_db:g} dB.

## What it is good for
Photos of phones, in sRGB with 8 bits, of any size: looking at them, printing them, before they are edited by hand.
It changes tone and colour, and guesses fine detail: its output is no evidence of what was there, nothing to measure in
or to diagnose from, and no input for other programs that expect what the camera saw. Photos that were edited already,
screenshots, drawings and scans are not what it learned from.

## Scores, as the checkpoint states them
{_scores(checkpoint.scores)}

## Where the weights come from
{_origin(checkpoint.provenance)}
"""


def _scores(scores: Mapping[str, Any]) -> str:
    """A line each; nested ones under the name of theirs."""
    lines = [f"- {line}" for line in _in_words(scores)]
    return "\n".join(lines) or "None are stated: its gain over the phone photo was not measured."


def _in_words(scores: Mapping[str, Any]) -> Iterator[str]:
    for name, score in scores.items():
        if isinstance(score, Mapping):
            yield f"{_phrase(name)}: " + ", ".join(_in_words(score))
        elif isinstance(score, float):
            yield f"{_phrase(name)} {score:.2f}" + (" dB" if name.endswith("_db") else "")
        else:
            yield f"{_phrase(name)} {score}"


def _phrase(name: str) -> str:
    """The field's name of a score, such as "mean PSNR" of "psnr_mean_db"."""
    if name in SCORES:
        return SCORES[name]
    return name.removesuffix("_db").replace("_", " ")


def _origin(provenance: Mapping[str, Any]) -> str:
    """What it learned from, and each network that it was made from, back to the first."""
    lines, step = [], provenance
    while isinstance(step, Mapping) and step:
        settings, source = step.get("settings", {}), step.get("source")
        if pairs := settings.get("pairs"):
            lines.append(f"Photo pairs: {pairs}")
        if isinstance(source, Mapping):
            lines.append(f"Made from the network {source.get('name')}, sha256 {source.get('sha256')}")
        step = source.get("provenance", {}) if isinstance(source, Mapping) else {}
    unique = dict.fromkeys(lines)
    return "\n".join(f"- {line}." for line in unique) or "Not stated."


def _numbers(quantization: Quantization | None) -> str:
    if quantization is None:
        return "All in 32 bits."
    kept = ", ".join(f"`{layer}`" for layer in quantization.float_layers) or "none"
    calibrated = (
        f" Ranges found on {quantization.calibration_photos} photos." if quantization.calibration_photos else ""
    )
    return (
        f"Weights of enhance: {quantization.weights}; activations: {quantization.activations}; analyze: "
        f"{quantization.analyze}. Convolutions left float: {kept}.{calibrated}"
    )


def _fidelity(fidelity: Fidelity | None) -> str:
    if fidelity is None:
        return "Not measured: the machine that converted it has no runtime for its target."
    step = fidelity.border_step_mean_levels
    below = f"\n\n**Below its floor:** {fidelity.below_floor}" if fidelity.below_floor else ""
    return f"""{fidelity.photos} whole photos end to end, in RGB in [0, 1], PSNR capped at 120 dB.

| | mean | worst photo |
|---|---|---|
| PSNR, dB | {fidelity.psnr_mean_db:.1f} | {fidelity.psnr_worst_db:.1f} |
| PSNR, given the float condition, dB | {fidelity.enhance_psnr_mean_db:.1f} | {fidelity.enhance_psnr_worst_db:.1f} |
| delta E 2000 | {fidelity.delta_e_2000_mean:.4f} | |
| colour shift of a channel | | {fidelity.colour_shift_worst:.6f} |
| step across tile borders, grey levels | {"-" if step is None else f"{step:.3f}"} | |{below}"""


def _row(spec: TensorSpec) -> str:
    limits = f"{spec.range[0]:g} to {spec.range[1]:g}, {spec.channel_order}" if spec.range else "any"
    return f"{spec.name} | {' x '.join(map(str, spec.shape))} | {spec.layout} | {limits}"
