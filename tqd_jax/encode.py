"""Scores a library of clips and encodes it with published weights: what training on them reads, made once.

    python -m tqd_jax.encode --config=configs/wan.py --config.wan.path=WEIGHTS --config.data.clips=FOLDER --output=CACHE

Stopped at any moment, even by SIGKILL, the same command goes on with what is missing; what has not changed is never encoded again. Several
hosts share the clips. CACHE gets

    scores.parquet      a row for each clip: its scores and caption, or the reason why it has none; training reads it as the list of clips
    latents/, text/     what training reads for the clips and their captions
    skipped.jsonl       clips that have no scores or cannot be encoded, each with the reason
    cut_captions.jsonl  captions that are longer than the text encoder reads, where there are any
    failed.jsonl        clips that cannot be encoded, by what they depend on: they are not tried again until this file is deleted
    text.json           what the features in text/ depend on, for training without the text encoder; a list, the newest last
    normaliser.json     how raw scores become mq and vq, so that clips that are added are mapped as the first were
    config.json         the config of the last command
    scores.store        measured clips, and hashes.json hashes of weights, so that neither is computed again
"""

from absl import flags

from tqd_jax.config import Config, check_whole
from tqd_jax.foundations.wan import published
from tqd_jax.training.workdir import prepare_once, unchanged
from transfer_jax.runtime.app import define_flags, run_app
from transfer_jax.runtime.errors import UserError
from transfer_jax.runtime.folder.lock import alone_in
from transfer_jax.runtime.job import print_stop, unwritable
from transfer_jax.runtime.parallel.mesh import make_mesh
from transfer_jax.runtime.paths import check_store, make_folder, path_of
from transfer_jax.runtime.progress import Stopped


def main(config, output):
    """Encodes the library of the checked config into the folder."""
    if config.wan.path is None:
        raise UserError('there is nothing to encode with: name published weights by --config.wan.path')
    check_whole(config)
    folder = path_of(output)
    if config.data.cache is not None and path_of(config.data.cache) != folder:
        raise UserError(f'config.data.cache = {config.data.cache!r}, and --output={output}: --output alone says where the cache is written')
    foundation = published(config, make_mesh(), cache=folder)  # no parameter is sharded here, so config.mesh need not fit this machine
    check_store(folder)
    foundation.check(folder, fresh=False)
    with unwritable(folder):
        make_folder(folder)
        try:
            with alone_in(folder), unchanged(folder):
                prepare_once(config, folder)
                stopped = foundation.prepare(folder)
        except Stopped:
            stopped = True
    if stopped:
        print_stop()
        return
    print(f'encoded: {folder}\nto train on it: --config.data.cache={folder}')


define_flags()

if __name__ == '__main__':
    if 'output' not in flags.FLAGS:  # another program of this process may have it
        flags.DEFINE_string('output', 'cache', 'the folder of scores, latents and text features')
    run_app(main, Config, ('output',))
