"""Run a TFLite file with LiteRT's GPU accelerator, on a machine without a GPU: over SwiftShader, Vulkan in software.

What it computes is what LiteRT's shaders compute on a phone's GPU; how fast says nothing. SwiftShader and the Vulkan
loader are those of Chromium.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from conversion.artifact import EntryPoint
from conversion.runtimes.process import ProcessEngine

DEVICE = "LiteRT's GPU accelerator over SwiftShader"
DRIVER, LOADER = "libvk_swiftshader.so", "libvulkan.so.1"
FOLDERS = (Path("/usr/lib/chromium"), Path("/opt/google/chrome"), Path("/usr/lib/chromium-browser"))
LOAD = """
import numpy
from ai_edge_litert.compiled_model import CompiledModel
from ai_edge_litert.hardware_accelerator import HardwareAccelerator

def load(path, signature):
    model = CompiledModel.from_file(path, hardware_accel=HardwareAccelerator.GPU)
    if not model.is_fully_accelerated():
        raise SystemExit("the accelerator leaves operators to the CPU")
    inputs, outputs = model.get_input_tensor_details(signature), model.get_output_tensor_details(signature)
    given = {name: model.create_input_buffer_by_name(signature, name) for name in inputs}
    made = {name: model.create_output_buffer_by_name(signature, name) for name in outputs}

    def run(**arrays):
        for name, array in arrays.items():
            given[name].write(numpy.ascontiguousarray(array))
        model.run_by_name(signature, given, made)
        shapes = {name: [int(side) for side in outputs[name]["shape"]] for name in made}
        types = {name: numpy.dtype(outputs[name]["dtype"]) for name in made}
        return {n: made[n].read(int(numpy.prod(shapes[n])), types[n]).reshape(shapes[n]) for n in made}

    return run
"""


def driver_folder() -> Path | None:
    """Where SwiftShader and the Vulkan loader lie; None: there is no Chromium here."""
    return next((at for at in FOLDERS if (at / DRIVER).is_file() and (at / LOADER).is_file()), None)


class LitertGpuEngine(ProcessEngine):
    """Signatures of one `.tflite` on the GPU accelerator, fully: what it leaves to the CPU is refused.

    Args:
        driver: `driver_folder()`.
    """

    def __init__(self, driver: Path, folder: Path, entry_points: Sequence[EntryPoint]):
        self._driver = TemporaryDirectory()
        driver_file = Path(self._driver.name, "swiftshader.json")
        icd = {"library_path": str(driver / DRIVER), "api_version": "1.1.0"}
        driver_file.write_text(json.dumps({"file_format_version": "1.0.0", "ICD": icd}), encoding="utf-8")
        environment = os.environ | {"VK_ICD_FILENAMES": str(driver_file), "LD_LIBRARY_PATH": str(driver)}
        super().__init__(Path(sys.executable), LOAD, DEVICE, folder, entry_points, environment=environment)

    def close(self) -> None:
        super().close()
        self._driver.cleanup()
