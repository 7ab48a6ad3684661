"""The program tqd_jax.score in this process, and what it measures there."""
import pyarrow.parquet
from absl.testing import flagsaver

from tqd_jax.scoring import row
from transfer_jax.runtime.paths import local_copy, path_of

NAMES = [f'{number:02d}.mp4' for number in range(24)]  # of clips


def run(output, **values):
    """The table that the program writes in this process.

    Imported here, as the program needs JAX and a process that measures for a test, and so imports this module, does not.
    """
    from tqd_jax import score as program
    with flagsaver.flagsaver(**{'workers': 0, 'report': False, 'output': str(output)} | values):
        program.main(['score'])
    with local_copy(path_of(output)) as local:
        return pyarrow.parquet.read_table(local)


def measured_paths(monkeypatch):
    """The paths that are measured from now on."""
    measured, real = [], row.score_clip
    monkeypatch.setattr(row, 'score_clip', lambda path, settings: (measured.append(path), real(path, settings))[1])
    return measured
