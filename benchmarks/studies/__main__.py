"""Runs a study, which tests claims on a world with a known truth, and writes its page.

    python -m benchmarks.studies --config=configs/study_table.py --workdir=runs/study [--config.KEY=VALUE ...]

The config's `study` says which; STUDIES says in which module its RULES and main(config, workdir) are.
"""
import importlib
import pathlib
import sys

import jax
from absl import flags

from transfer_jax.runtime.app import define_flags, given, run_app
from transfer_jax.runtime.errors import UserError
from transfer_jax.runtime.parallel.cores import cores

STUDIES = {'table': 'benchmarks.studies.claims.tqd', 'align': 'benchmarks.studies.claims.alignment',
           'learned': 'benchmarks.studies.claims.learned',
           'theory': 'benchmarks.studies.theory.study'}

define_flags('runs/study')


def module_of(config):
    """The module of the config's study. Raises UserError where there is none of that name."""
    name = config.get('study')
    if name not in STUDIES:
        raise UserError(f'config.study = {name!r}; allowed: one of {", ".join(STUDIES)}')
    return importlib.import_module(STUDIES[name])


def main(config):
    """The study in the work directory."""
    named = {key: value for key, value in given(sys.argv).items() if key not in ('results', 'images')}  # folders of this machine
    module_of(config).main(config, pathlib.Path(flags.FLAGS.workdir), flags=named)


if __name__ == '__main__':
    jax.config.update('jax_num_cpu_devices', cores())  # a run on every core: a small product does not fill two
    run_app(main, lambda config: module_of(config).RULES)
