"""A run's scalars in metrics.jsonl and TensorBoard; a resumed run deletes those after its checkpoint."""
import json
import math
import pathlib
import tempfile
from collections.abc import Mapping
from typing import Any

import jax
from tensorboardX import SummaryWriter

from transfer_jax.runtime.files import upload, write_atomically
from transfer_jax.runtime.paths import AnyPath, fetch, is_remote, make_folder, path_of

FILE = 'metrics.jsonl'
BOARD = 'tensorboard'


class Metrics:
    """Writes scalars of steps; of processes that share it only number 0 writes. A context manager that closes.

    In an object store the files are those of the last flush.
    """

    def __init__(self, workdir: str | AnyPath, start_step: int = 0, *, shared: bool = True):
        """Opens workdir/metrics.jsonl and workdir/tensorboard to append.

        start_step: the first step that will be written; records of an earlier process from this step on are deleted. shared: every
        process of the job writes the same; else this process alone has the folder.
        """
        self.active = not shared or jax.process_index() == 0
        if self.active:
            self._workdir = path_of(workdir)
            self._temporary = tempfile.TemporaryDirectory(prefix='tqd-') if is_remote(self._workdir) else None
            self._local = self._opened()
            had_file = _cut_back(self._local / FILE, start_step)
            self._file = open(self._local / FILE, 'a', encoding='utf-8')
            self._board = SummaryWriter(str(self._local / BOARD), purge_step=start_step if had_file else None, flush_secs=10)

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
            self._upload()

    def close(self) -> None:
        """Flushes and closes both files."""
        if self.active:
            self._file.close()
            self._board.close()
            self._upload()
            if self._temporary:
                self._temporary.cleanup()

    def _opened(self):
        """The local folder to write in: the work directory, or where that is in an object store a new one with its metrics.jsonl."""
        if self._temporary is None:
            make_folder(self._workdir)
            return self._workdir
        folder = pathlib.Path(self._temporary.name)
        if (self._workdir / FILE).exists():
            fetch(self._workdir / FILE, folder / FILE)
        return folder

    def _upload(self):
        """Brings the files to an object store, where nothing can be appended to one."""
        if is_remote(self._workdir):
            for path in (self._local / FILE, *(self._local / BOARD).iterdir()):
                upload(path, self._workdir / path.relative_to(self._local))

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.close()


def read_metrics(path: str | AnyPath) -> list[dict[str, Any]]:
    """The records of a metrics.jsonl, [{'step': ..., name: ...}, ...]; [] without a file. A last line cut by a kill is left out."""
    path = path_of(path)
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
