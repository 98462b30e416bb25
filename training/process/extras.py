"""What to install for what a light install leaves out (standard library only)."""

from __future__ import annotations

EXTRAS = {
    "executorch": "executorch",
    "torchao": "executorch",
    "litert_torch": "tflite",
    "ai_edge_quantizer": "tflite",
    "coremltools": "coreml",
}
OF_ALL_ELSE = "train"


def how_to_install(module: str) -> str:
    """A sentence without its beginning: what is not installed, and how it will be.

    Args:
        module: that could not be imported, such as "torch.nn".
    """
    name = module.partition(".")[0]
    extra = EXTRAS.get(name, OF_ALL_ELSE)
    return f"needs {name}, which is not installed; pip install 'pocket-dslr[{extra}]', in a checkout -e '.[{extra}]'"
