"""Measures how good a checkpoint's samples are to look at, beside rendered clips of the same scenes, and writes table and picture.

    python -m benchmarks.samples --config=configs/video.py --workdir=FOLDER --name=NAME [--seeds=0,1,2,3,4] [--samples=64]
        [--results=docs/results] [--images=docs/images] [--config.KEY=VALUE ...]

It measures the newest checkpoint in the work directory of a run or, where there is none yet, the weights that the config starts from, in
pixels or latents. Samples and measures are stored there seed by seed, so the command goes on where it stopped. It
writes samples_NAME.json and, of all such files beside it, samples.md; and samples_NAME.png, the first samples of the first seed.
"""
import sys
import time

from absl import flags

from benchmarks.samples.draw import open_model, samples_of, shape_of, store_of
from benchmarks.samples.page import write_page
from benchmarks.samples.rows import ROWS, summaries
from benchmarks.samples.shapes import accuracies, train
from benchmarks.samples.sheet import write_sheet
from benchmarks.samples.truth import scenes_of
from benchmarks.studies.pages.files import write_results
from benchmarks.timing import machine
from tqd_jax.config import Config, check_whole
from transfer_jax.runtime.app import define_flags, run_app
from transfer_jax.runtime.errors import UserError
from transfer_jax.runtime.folder.lock import alone_in
from transfer_jax.runtime.paths import make_folder, path_of

FLAGS = ('workdir', 'name', 'seeds', 'samples', 'results', 'images')


def main(config, workdir, name, seeds, samples, results, images):
    """Draws, measures and writes what the flags say."""
    check_whole(config)
    seeds, shape, workdir = numbers(seeds), checked_shape(config), path_of(workdir)
    captions = [scene.caption for seed in seeds for _, scene in scenes_of(seed, samples)]
    make_folder(workdir)
    with alone_in(workdir):
        model, store, classifiers = open_model(config, workdir, captions), store_of(workdir), (train(), train('kernel'))
        drawn = [samples_of(model, store, seed, samples) for seed in seeds]
        each = [summaries(store, model.weights, seed, frames, shape, config.data.fps, classifiers)
                for seed, (frames, _, _) in zip(seeds, drawn, strict=True)]
    rows = {row: {key: [one[row][key] for one in each] for key in each[0][row]} for row in ROWS}
    write_results(path_of(results) / f'samples_{name}.json', facts(model, shape) | {
        'name': name, 'seeds': seeds, 'samples': samples, 'seconds': [seconds for _, _, seconds in drawn],
        'accuracies': accuracies(classifiers[0]), 'rows': rows})
    write_sheet(path_of(images) / f'samples_{name}.png', *drawn[0][:2])
    print(write_page(path_of(results)))


def facts(model, shape):
    """What was measured, by which command, where and when."""
    config, sampling = model.run.config, model.run.foundation.sampling()
    return {'command': command(sys.argv), 'machine': machine(), 'date': time.strftime('%Y-%m-%d'), 'weights': model.weights,
            'step': model.step, 'shape': shape, 'fps': config.data.fps, 'solver': sampling.solver, 'steps': sampling.steps,
            'guidance': sampling.guidance}


def numbers(text):
    """The seeds of a flag. Raises UserError."""
    try:
        seeds = [int(word) for word in text.split(',')]
    except ValueError:
        raise UserError(f'--seeds={text}: write numbers with commas, as in --seeds=0,1,2,3,4') from None
    if min(seeds) < 0 or len(set(seeds)) < len(seeds):
        raise UserError(f'--seeds={text}: each is 0 or more, and none is there twice')
    return seeds


def checked_shape(config):
    """(F, H, W) of samples. Raises UserError where the tracker cannot read it."""
    frames, height, width = shape_of(config)
    if height != width or height % 16:
        raise UserError(f'samples of {width}x{height}: the tracker reads squares of 16, 32, 48, ... pixels; set --config.sample.shapes')
    return frames, height, width


def command(argv):
    """The command of a command line, without the folders of this machine."""
    words = [word for word in argv[1:] if not word.startswith(('--workdir', '--results', '--images'))]
    return ' '.join(['python -m benchmarks.samples', *(f'"{word}"' if set(word) & set(' ()') else word for word in words)])


define_flags('runs/samples')
flags.DEFINE_string('name', 'demo', 'of the checkpoint, in the table and in the names of files')
flags.DEFINE_string('seeds', '0,1,2,3,4', 'of scenes and noise')
flags.DEFINE_integer('samples', 64, 'of each seed', lower_bound=2)
flags.DEFINE_string('results', 'docs/results', 'the folder of table and numbers')
flags.DEFINE_string('images', 'docs/images', 'the folder of the picture')

if __name__ == '__main__':
    run_app(main, Config, FLAGS)
