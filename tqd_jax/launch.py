"""Writes the files by which a job starts on rented machines, a cluster or Colab, all from one config.

    python -m tqd_jax.launch --config=configs/launch.py --output=FOLDER --config.place=queued --config.chip=v6e-8

Nothing is started and nobody is asked: a file is read, then run by you. docs/launch.md has the steps.
"""
from absl import flags

from tqd_jax.launching.checks import check_launch
from tqd_jax.launching.chips import slice_of
from tqd_jax.launching.config import Launch
from tqd_jax.launching.job import check_job
from tqd_jax.launching.render import render
from transfer_jax.runtime.app import define_flags, run_app
from transfer_jax.runtime.errors import UserError
from transfer_jax.runtime.folder.home import local_path
from transfer_jax.runtime.job import unwritable

FIRST = {'tpu_vm': 'bash slice.sh', 'queued': 'bash slice.sh', 'mig': 'bash group.sh', 'gke': 'bash cluster.sh',
         'slurm': 'sbatch job.sbatch', 'colab': 'open job.ipynb in Colab'}  # what the user does next


def main(config, output):
    """Writes the files of the checked config's place into a folder."""
    check_launch(config)
    check_job(config.job, slice_of(config.chip).devices * config.slices)
    folder = local_path(output)
    with unwritable(folder):
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in render(config).items():
            (folder / name).write_text(text, encoding='utf-8')
            print(folder / name)
    print(f'next, in {folder}: {FIRST[config.place]}; the steps: docs/launch.md')


def schema_of(config):
    """Launch; raises UserError where the config file is that of the training itself."""
    if 'train' in config and 'job' not in config:
        raise UserError('--config is a config of the training, and files are made of one of the launch: --config=configs/launch.py, and '
                        "the training's as --config.job.config=FILE")
    return Launch


define_flags()

if __name__ == '__main__':
    if 'output' not in flags.FLAGS:  # another program of this process may have it
        flags.DEFINE_string('output', 'launch', 'the folder of the files')
    run_app(main, schema_of, ('output',))
