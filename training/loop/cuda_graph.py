"""A training step as one CUDA graph (docs.pytorch.org, "CUDA semantics", whole-network capture).

Pocket is so small that a CPU takes ten times as long to launch the thousands of kernels of a step as a GPU takes to run
them. Recorded once, they are launched together.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

EAGER_CALLS = 5  # libraries choose kernels and optimizers make their state before anything is recorded


class Graphed:
    """`step` of tensors that keep their shapes -> a tensor; it may not read anything back from the GPU.

    Args:
        step: its side effects, such as on weights, are part of the recording; what it reads besides its arguments is
            read from the same memory each time.
    """

    def __init__(self, step: Callable[..., Tensor]):
        self._step, self._eager_calls = step, 0
        self._stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        self._graph: torch.cuda.CUDAGraph | None = None
        self._inputs: list[Tensor] = []
        self._output = torch.empty(0)

    def __call__(self, *inputs: Tensor) -> Tensor:
        """The output belongs to the graph: the next call writes it anew."""
        if self._eager_calls < EAGER_CALLS:
            self._eager_calls += 1
            self._stream.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(self._stream):
                output = self._step(*inputs)
            torch.cuda.current_stream().wait_stream(self._stream)
            return output
        if self._graph is None:
            self._inputs = [given.clone() for given in inputs]
            self._graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(self._graph):  # records, and runs nothing
                self._output = self._step(*self._inputs)
        for static, given in zip(self._inputs, inputs, strict=True):
            static.copy_(given)
        self._graph.replay()
        return self._output
