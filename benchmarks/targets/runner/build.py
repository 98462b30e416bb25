"""The runner of each runtime, cross-built for arm64, with all that it needs: it runs on any arm64 Linux kernel.

A bundle carries its own loader and C library, so a phone's own do not matter.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from benchmarks.targets.runner.packages import EmulatorError, kept, require_tools, run_quietly, system, wheel

HERE = Path(__file__).parent
LOADER = "ld-linux-aarch64.so.1"
RUNNER = "runner"
C_LIBRARIES = ("libc.so.6", "libm.so.6", "libdl.so.2", "libpthread.so.0", "librt.so.1", "libgcc_s.so.1")
FLAGS = ("-std=c++17", "-O3", "-Wall", "-Wl,--allow-shlib-undefined")


@dataclass(frozen=True)
class Runtime:
    """One runtime's wheel, and what of it is linked."""

    package: str
    source: str
    folder: str  # of the libraries inside the wheel
    libraries: tuple[str, ...]
    includes: tuple[str, ...] = ()
    defines: tuple[str, ...] = ()


RUNTIMES = {
    "executorch": Runtime(
        "executorch",
        "executorch_model.cpp",
        "executorch/lib",
        ("executorch_kernels_optimized", "executorch_kernels_quantized", "executorch_backend_xnnpack",
         "executorch_threadpool", "executorch"),
        ("executorch/include", "executorch/include/executorch/runtime/core/portable_type/c10"),
        ("C10_USING_CUSTOM_GENERATED_MACROS",),
    ),
    "tflite": Runtime("ai-edge-litert", "litert_model.cpp", "ai_edge_litert", ("LiteRt",)),
}  # fmt: skip


def bundle(format_: str) -> Path:
    """A folder with the runner of a format, the libraries and the loader; built on first use.

    Raises:
        EmulatorError: no runner for this format, a tool is missing, or something cannot be fetched or built.
    """
    if format_ not in RUNTIMES:
        raise EmulatorError(f"no runner for {format_} artifacts; convert to {' or '.join(sorted(RUNTIMES))}")
    require_tools()
    runtime, sources = RUNTIMES[format_], ["main.cpp", "model.h", RUNTIMES[format_].source]
    from_wheel, root = wheel(runtime.package), system()

    def make(folder: Path) -> None:
        libraries = from_wheel / runtime.folder
        run_quietly(["aarch64-linux-gnu-g++", *FLAGS, *(f"-D{name}" for name in runtime.defines),
                     *(f"-isystem{from_wheel / path}" for path in runtime.includes),
                     HERE / "main.cpp", HERE / runtime.source, "-o", folder / RUNNER, f"-L{libraries}",
                     "-Wl,--no-as-needed", *(f"-l{name}" for name in runtime.libraries)],
                    f"building the {format_} runner")  # fmt: skip
        for name in runtime.libraries:
            shutil.copy(libraries / f"lib{name}.so", folder)
        for name in C_LIBRARIES:
            shutil.copy(root / "lib" / "aarch64-linux-gnu" / name, folder)
        shutil.copy(root / "usr/lib/aarch64-linux-gnu/libstdc++.so.6", folder)
        shutil.copy(root / "lib" / LOADER, folder)

    recipe = "\n".join((*((HERE / name).read_text() for name in sources), repr(runtime), str(FLAGS), from_wheel.name))
    return kept(f"{format_}-runner", recipe, make)


def plugin() -> Path:
    """The plugin of QEMU that counts instructions, built for this host."""
    source = HERE / "instructions.c"

    def make(folder: Path) -> None:
        made = folder / "libinstructions.so"
        run_quietly(["cc", "-O2", "-fPIC", "-shared", "-fvisibility=hidden", source, "-o", made],
                    "building the counter of instructions")  # fmt: skip

    return kept("counter", source.read_text(), make) / "libinstructions.so"
