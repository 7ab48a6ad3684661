"""Makes weights of the package from a finished run: in half precision, with their config and log beside them.

    python -m tqd_jax.shipped.publish runs/pretrain tiny_wan
    python -m tqd_jax.shipped.publish runs/pretrain_tiny tiny
"""
import argparse
import json
import pathlib
import shutil

import numpy as np

from tqd_jax.export import export
from tqd_jax.models.assets import ASSETS, located
from transfer_jax.runtime.errors import UserError, errors_in_one_line
from transfer_jax.runtime.tensors import save_weights


def publish(workdir, name, assets=ASSETS):
    """Writes a run's weights to the package's assets.

    Of pixels: NAME.npz (float16), NAME.json (config) and NAME.jsonl (metrics). On latents: the folder NAME with the transformer (float16),
    the text encoder and the tokenizer that the run started from, pretrain.json and pretrain.jsonl; its VAE stays. Raises UserError where
    the run is not finished.
    """
    workdir, assets = pathlib.Path(workdir), pathlib.Path(assets)
    config, summary = (json.loads((workdir / f'{file}.json').read_text()) for file in ('config', 'summary'))
    start, steps = config['wan']['path'], config['train']['steps']
    if summary.get('steps') != steps:
        raise UserError(f'{workdir} is at step {summary.get("steps", 0)} of {steps}: finish its training first')
    if start is None:
        with np.load(workdir / 'weights.npz') as file:
            save_weights(assets / f'{name}.npz', dict(file), dtype=np.float16)
        stem = assets / name
    else:
        _publish_model(workdir, pathlib.Path(located(start)), assets / name)
        stem = assets / name / 'pretrain'
    shutil.copy(workdir / 'config.json', stem.with_suffix('.json'))
    shutil.copy(workdir / 'metrics.jsonl', stem.with_suffix('.jsonl'))


def _publish_model(workdir, start, folder):
    new = folder / '.transformer'
    shutil.rmtree(new, ignore_errors=True)
    export(workdir, format='diffusers', output=str(new), dtype='float16')
    shutil.rmtree(folder / 'transformer', ignore_errors=True)
    new.rename(folder / 'transformer')
    for part in ('text_encoder', 'tokenizer') if start.resolve() != folder.resolve() else ():
        shutil.copytree(start / part, folder / part, dirs_exist_ok=True)


def main():
    """Publishes the run that the command line names."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('workdir', help='of the finished run')
    parser.add_argument('name', help='of the weights in the package')
    publish(**vars(parser.parse_args()))


if __name__ == '__main__':
    with errors_in_one_line(OSError):
        main()
