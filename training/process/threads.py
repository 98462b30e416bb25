"""How the threads of one process wait for each other. Standard library only: it must be read before torch is loaded.

OpenMP's threads spin where they wait. Two that spin beside another process lose their turn to each other: a step of
Pocket then takes up to thirty times as long (benchmarks/studies/training_speed.py measures it). So they sleep instead,
and a network so small that waiting costs more than the other thread brings learns in one thread (SMALL_MAC_PER_PX).
Its result then does not depend on the number of cores either.
"""

from __future__ import annotations

import os

SMALL_MAC_PER_PX = 20_000  # Pocket has 2,784; the paper's generator 399,744, which is faster in several threads


def let_them_sleep() -> None:
    """For this process and its children, before OpenMP is loaded; what the user has set stays."""
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
