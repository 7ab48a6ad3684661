"""A run's scalars: one JSON object a line in metrics.jsonl, and the same in TensorBoard; cut back to the checkpoint on resume."""
import json
import math
import os
import pathlib

import jax
from tensorboardX import SummaryWriter

FILE = 'metrics.jsonl'


class Metrics:
    """Writes scalars of steps; only process 0 writes, elsewhere every method does nothing. A context manager that closes."""

    def __init__(self, workdir, start_step=0):
        """Opens workdir/metrics.jsonl and workdir/tensorboard to append.

        start_step is the first step that will be written: what an earlier process wrote of it and later ones is dropped.
        """
        self.active = jax.process_index() == 0
        if self.active:
            workdir = pathlib.Path(workdir)
            workdir.mkdir(parents=True, exist_ok=True)
            resumed = _cut_back(workdir / FILE, start_step)
            self._file = open(workdir / FILE, 'a', encoding='utf-8')
            self._board = SummaryWriter(str(workdir / 'tensorboard'), purge_step=start_step if resumed else None,
                                        flush_secs=10)

    def write(self, step, scalars):
        """Writes {name: scalar} of a step; each line is on its way to disk on return. Not-finite values are null in the JSONL."""
        if self.active:
            values = {name: float(value) for name, value in scalars.items()}
            finite_values = {name: value if math.isfinite(value) else None for name, value in values.items()}
            self._file.write(json.dumps({'step': int(step), **finite_values}) + '\n')
            self._file.flush()
            for name, value in values.items():
                self._board.add_scalar(name, value, int(step))

    def flush(self):
        """Pushes TensorBoard's buffer to disk, but for the events that its thread has not taken yet (`close` waits for those)."""
        if self.active:
            self._board.flush()

    def close(self):
        """Flushes and closes both files."""
        if self.active:
            self._file.close()
            self._board.close()

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.close()


def read_metrics(path):
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
    """Rewrites the file, by an atomic rename, with its records of steps < start_step; True if there was a file."""
    if not path.exists():
        return False
    earlier = [record for record in read_metrics(path) if record['step'] < start_step]
    temporary = path.with_suffix('.tmp')
    temporary.write_text(''.join(json.dumps(record) + '\n' for record in earlier), encoding='utf-8')
    os.replace(temporary, path)
    return True
