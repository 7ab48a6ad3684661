"""A run's scalars in metrics.jsonl and TensorBoard; a resumed run deletes those after its checkpoint."""
import json
import math
import pathlib
from collections.abc import Mapping
from typing import Any

import jax
from tensorboardX import SummaryWriter

from transfer_jax.runtime.files import write_atomically

FILE = 'metrics.jsonl'


class Metrics:
    """Writes scalars of steps; of processes that share it only number 0 writes. A context manager that closes."""

    def __init__(self, workdir: str | pathlib.Path, start_step: int = 0, *, shared: bool = True):
        """Opens workdir/metrics.jsonl and workdir/tensorboard to append.

        start_step: the first step that will be written; records of an earlier process from this step on are deleted. shared: every
        process of the job writes the same; else this process alone has the folder.
        """
        self.active = not shared or jax.process_index() == 0
        if self.active:
            workdir = pathlib.Path(workdir)
            workdir.mkdir(parents=True, exist_ok=True)
            had_file = _cut_back(workdir / FILE, start_step)
            self._file = open(workdir / FILE, 'a', encoding='utf-8')
            self._board = SummaryWriter(str(workdir / 'tensorboard'), purge_step=start_step if had_file else None,
                                        flush_secs=10)

    def write(self, step: int, scalars: Mapping[str, Any]) -> None:
        """Writes {name: scalar} of a step, and flushes the JSON line. Values that are not finite are null in it."""
        if self.active:
            values = {name: float(value) for name, value in scalars.items()}
            finite_values = {name: value if math.isfinite(value) else None for name, value in values.items()}
            self._file.write(json.dumps({'step': int(step), **finite_values}) + '\n')
            self._file.flush()
            for name, value in values.items():
                self._board.add_scalar(name, value, int(step))

    def flush(self) -> None:
        """Writes TensorBoard's buffer to disk, except events that its thread has not taken yet; `close` waits for these."""
        if self.active:
            self._board.flush()

    def close(self) -> None:
        """Flushes and closes both files."""
        if self.active:
            self._file.close()
            self._board.close()

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.close()


def read_metrics(path: str | pathlib.Path) -> list[dict[str, Any]]:
    """The records of a metrics.jsonl, [{'step': ..., name: ...}, ...]; [] without a file. A last line cut by a kill is left out."""
    path = pathlib.Path(path)
    if not path.exists():
        return []
    records = []
    for line in path.read_text(encoding='utf-8').splitlines():
        try:
            records.append(json.loads(line))
        except json.JSONDecodeError:
            break
    return records


def _cut_back(path, start_step):
    """Rewrites the file, all or nothing, with its records of steps < start_step; True if there was a file."""
    if not path.exists():
        return False
    earlier = [record for record in read_metrics(path) if record['step'] < start_step]
    write_atomically(path, ''.join(json.dumps(record) + '\n' for record in earlier).encode())
    return True
