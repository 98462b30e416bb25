"""Who does the work: processes of this machine, or the workers of a Dask cluster; both through joblib."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from joblib import Parallel, parallel_config

from training.commandline import UserError, printable

CONNECT_S = 10


@contextmanager
def workers(jobs: int, scheduler: str | None, folders: Sequence[Path]) -> Iterator[Parallel]:
    """A joblib.Parallel that yields results as they come. Tasks are handed out one by one, so memory stays bounded.

    Args:
        jobs: processes on this machine; without meaning on a cluster, where all workers take part.
        scheduler: address of a Dask scheduler, such as "tcp://10.0.0.1:8786"; None works on this machine.
        folders: what every worker must see under the same path.

    Raises:
        UserError: Dask is absent, no such scheduler, no worker, or one that does not see a folder.
    """
    if scheduler is None:
        yield Parallel(n_jobs=jobs, return_as="generator_unordered", batch_size=1)
        return
    try:
        from distributed import Client
    except ImportError:
        raise UserError("--dask: the package distributed is absent; install pocket-dslr[dask]") from None
    try:
        client = Client(scheduler, timeout=CONNECT_S, set_as_default=False)  # type: ignore[no-untyped-call]
    except (OSError, ValueError, TypeError) as error:
        raise UserError(f"--dask {scheduler}: no Dask scheduler answers there ({_first_line(error)})") from error
    with client:
        try:
            client.wait_for_workers(1, timeout=CONNECT_S)
        except TimeoutError:
            raise UserError(f"--dask {scheduler}: has no worker; start some: dask worker {scheduler}") from None
        for folder in folders:
            blind = sorted(at for at, sees in client.run(_is_folder, str(folder)).items() if not sees)
            if blind:
                raise UserError(
                    f"--dask {scheduler}: worker {blind[0]} does not see {printable(folder)}; share that disk"
                )
        with parallel_config("dask", client=client):
            yield Parallel(return_as="generator_unordered", batch_size=1)


def _is_folder(path: str) -> bool:
    return Path(path).is_dir()


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
