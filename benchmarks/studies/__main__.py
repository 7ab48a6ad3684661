"""Runs a study, which tests claims on a world with a known truth, and writes its page.

    python -m benchmarks.studies --config=configs/studies/table.py --workdir=runs/study [--config.KEY=VALUE ...]

The config's `study` names it; STUDIES has the module with its main(config, workdir).
"""
import importlib
import pathlib
import sys

import jax

from benchmarks.studies.config import schema_of
from transfer_jax.runtime.app import define_flags, overrides, run_app
from transfer_jax.runtime.parallel.cores import cores

STUDIES = {'table': 'benchmarks.studies.claims.tqd', 'align': 'benchmarks.studies.claims.alignment',
           'learned': 'benchmarks.studies.claims.learned', 'theory': 'benchmarks.studies.theory.study'}

define_flags('runs/study')


def main(config, workdir):
    """The study in the work directory."""
    folders = ('results', 'images')  # of this machine
    named = {key: value for key, value in overrides(sys.argv).items() if key not in folders}
    importlib.import_module(STUDIES[config.study]).main(config, pathlib.Path(workdir), flags=named)


if __name__ == '__main__':
    jax.config.update('jax_num_cpu_devices', cores())  # a run on every core: a small product does not fill two
    run_app(main, schema_of)
