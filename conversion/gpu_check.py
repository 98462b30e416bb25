"""Whether an artifact computes on a phone's GPU what it computes on the CPU: fully delegated is no proof of it."""

from __future__ import annotations

from dataclasses import replace

from conversion.artifact import Artifact, ArtifactError, ModelFile
from conversion.export import ConversionError
from conversion.golden import golden_psnr
from conversion.model_card import CARD
from conversion.runtimes.litert_gpu import DEVICE, LitertGpuEngine, driver_folder
from training.files import write_text


def check_on_gpu(artifact: Artifact, *, allow_below_floor: bool = False) -> None:
    """Run the golden pair of a TFLite artifact twice on LiteRT's GPU code, and add what came of it to the model card.

    Raises:
        ConversionError: it is below its tolerance there, or two runs differ, which is not allowed.
    """
    finding, passed = _run_twice(artifact)
    if not passed and not allow_below_floor:
        raise ConversionError(f"{artifact.manifest.name}: {finding} Nothing was written")
    card = artifact.folder / CARD
    write_text(card, card.read_text(encoding="utf-8") + f"\n## On a phone's GPU\n{finding}\n")
    packages = {point.file for point in artifact.manifest.entry_points}
    replace(artifact.manifest, files=ModelFile.all_in(artifact.folder, packages)).save(artifact.folder)


def _run_twice(artifact: Artifact) -> tuple[str, bool]:
    """The finding in a sentence; False where the artifact is wrong there."""
    manifest, driver = artifact.manifest, driver_folder()
    if driver is None:
        return f"Not run on {DEVICE}: that comes with Chromium, which is not installed here.", True
    engine = LitertGpuEngine(driver, artifact.folder, manifest.entry_points)
    try:
        first, second = (golden_psnr(engine, artifact) for _ in range(2))
    except ArtifactError:
        return f"{DEVICE} does not take it as a whole: phones run it on the CPU.", True
    finally:
        engine.close()
    floor_db = manifest.golden.tolerance_psnr_db
    if first != second or not first >= floor_db:
        return f"{first:.1f} and {second:.1f} dB in two runs of its golden pair on {DEVICE}, floor {floor_db:g}.", False
    return f"{first:.1f} dB on {DEVICE}: both entry points, the golden pair, two runs alike.", True
