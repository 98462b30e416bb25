"""What each precision is in LiteRT: recipes of the AI Edge Quantizer, on tensors named by tflite_graph.name_tensors.

Only convolutions are quantized: they hold nearly all weights, and the rest is colour, which stays float.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from ai_edge_litert.tools import flatbuffer_utils
from ai_edge_quantizer import calibrator, qtyping, quantizer, recipe_manager
from ai_edge_quantizer.utils.qsv_utils import min_max_update
from torch import Tensor

from conversion.artifact import Quantization
from conversion.backends.tflite import graph as tflite_graph
from conversion.converter import Form
from conversion.export import Source, inner

CONVOLUTION = qtyping.TFLOperationName.CONV_2D
FLOAT = recipe_manager.AlgorithmName.FLOAT_CASTING


def recipe_of(form: Form, layers: Sequence[str]) -> recipe_manager.RecipeManager:
    """Later entries override earlier ones. layers: all convolutions of enhance."""
    recipe = recipe_manager.RecipeManager()
    if form.precision == "fp16":
        recipe.add_weight_only_config(".*", CONVOLUTION, 16, algorithm_key=FLOAT)
        return recipe
    # analyze computes in float, since an error there is one of the whole photo.
    recipe.add_weight_only_config("^analyze/", CONVOLUTION, 8)
    for layer in layers:
        named = f"^enhance/{re.escape(layer)};"
        if layer in form.float_layers:
            continue
        if form.precision == "w8" or (form.precision == "w8a8" and layer not in inner(layers)):
            recipe.add_weight_only_config(named, CONVOLUTION, 8)
        elif form.precision == "dyn8":
            recipe.add_dynamic_config(named, CONVOLUTION, 8)
        else:
            recipe.add_static_config(named, CONVOLUTION, activation_num_bits=8, weight_num_bits=8)
    return recipe


def quantize(model: Any, form: Form, layers: Sequence[str], samples: Sequence[Mapping[str, Tensor]]) -> Any:
    """A float model (`ModelT`) with the signatures analyze and enhance -> the same in `form.precision`.

    Args:
        layers: all convolutions of enhance.
        samples: inputs of enhance by name, for w8a8.
    """
    content, recipe = bytes(flatbuffer_utils.convert_object_to_bytearray(model)), recipe_of(form, layers)
    ranges = None
    if recipe.need_calibration():
        # The quantizer's own calibration is a moving average, most of it from the first sample.
        found = calibrator.Calibrator(content, num_threads=1, qsv_update_func=min_max_update)
        arrays = [{name: tensor.numpy() for name, tensor in sample.items()} for sample in samples]
        found.calibrate({"enhance": arrays}, recipe)
        ranges = found.get_model_qsvs()
    made = quantizer.Quantizer(content, recipe.get_quantization_recipe()).quantize(
        ranges, enable_progress_bar=False, enable_progress_report=False
    )
    return tflite_graph.read(bytes(made.quantized_model))


def described(source: Source, form: Form) -> Quantization | None:
    """For the manifest."""
    if form.precision == "fp32":
        return None
    if form.precision == "fp16":
        return source.quantization(form, "float16", "float32", "weights float16, arithmetic float32")
    activations = {
        "w8": "float32",
        "dyn8": "int8, ranges found at run time",
        "w8a8": "int8, calibrated, per tensor; float32 in the first and the last layer",
    }[form.precision]
    weights = "int8, symmetric, per output channel"
    return source.quantization(form, weights, activations, "weights int8, arithmetic float32")
