"""The whole command on small checkpoints, of pixels and of latents: it goes on where it was, and takes no samples of other weights."""
import functools
import json
from unittest import mock

import numpy as np
import pytest
import small
import wan_runs
import wan_small
from alone import one_device

from benchmarks.samples import __main__ as command
from benchmarks.samples import draw, rows, shapes
from transfer_jax.runtime.errors import UserError

LENGTH = {'pixels': 4, 'latents': 5}


@pytest.fixture(scope='module')
def configs(tmp_path_factory):
    """{what a run stands on: (config, work directory)}."""
    folder = tmp_path_factory.mktemp('runs')
    given = {'wan.path': wan_small.write_folder(folder / 'wan'), 'data.clips': wan_runs.clips(folder / 'clips'),
             'data.held_out_fraction': 0.0}
    tiny = {'init_from': 'asset:tiny.npz', 'model.text_len': 8}
    return {'pixels': (small.config(**tiny), folder / 'pixels'), 'latents': (wan_small.config(**given), folder / 'latents')}


@functools.cache
def few(kind='logistic'):
    """A classifier of few scenes."""
    return shapes.train(kind, count=20)


def run(config, workdir, output, seeds='0,1'):
    """The results of the command."""
    with one_device(), mock.patch.object(command, 'train', few), mock.patch.object(command, 'accuracies', lambda one: {'here': (1.0, 1.0)}):
        command.main(config, workdir, 'small', seeds, 3, output, output)
    return json.loads((output / 'samples_small.json').read_text())


@pytest.mark.parametrize('kind', ['pixels', 'latents'])
def test_a_checkpoint_is_measured_and_kept(configs, kind, tmp_path):
    config, workdir = configs[kind]
    first = run(config, workdir, tmp_path)
    assert first['shape'] == [LENGTH[kind], 16, 16] and first['step'] == 0 and set(first['rows']) == set(rows.ROWS)
    assert all(len(values) == 2 and np.isfinite(values).all() for row in first['rows'].values() for values in row.values())
    assert (tmp_path / 'samples.md').exists() and (tmp_path / 'samples_small.png').exists()
    again_is_wrong = {'side_effect': AssertionError}
    with mock.patch.object(draw, 'draw_latents', **again_is_wrong), mock.patch.object(rows, 'measure', **again_is_wrong):
        again = run(config, workdir, tmp_path)
    assert {**again, 'date': first['date']} == first


def test_noise_and_captions_are_of_the_seed(configs, tmp_path):
    config, workdir = configs['pixels']
    run(config, workdir, tmp_path)
    store = draw.store_of(workdir)
    captions = [store.record(f'seed-{seed}-0')['captions'] for seed in (0, 1)]
    frames = [np.load(workdir / 'quality' / f'seed-{seed}-0.npz')['frames'] for seed in (0, 1)]
    assert captions[0] != captions[1] and (frames[0] != frames[1]).any()


def test_samples_of_other_weights_are_drawn_anew(tmp_path):
    changes, workdir = {'init_from': 'asset:tiny.npz', 'model.text_len': 8, 'train.learning_rate': 0.1}, tmp_path / 'run'
    before = run(small.config(**changes), workdir, tmp_path, seeds='0')
    drawn = np.load(workdir / 'quality' / 'seed-0-0.npz')['frames']
    small.run(workdir, **changes)
    after = run(small.config(**changes), workdir, tmp_path, seeds='0')
    assert (before['step'], after['step']) == (0, 8) and before['weights'] != after['weights']
    assert (np.load(workdir / 'quality' / 'seed-0-0.npz')['frames'] != drawn).any()


def test_samples_are_the_same_in_other_parts(configs, tmp_path):
    config, workdir = configs['pixels']
    run(config, workdir, tmp_path)
    with one_device():
        model = draw.open_model(config, workdir, [])
        whole, _, _ = draw.samples_of(model, draw.store_of(workdir), 0, 3)
        with mock.patch.object(draw, 'BATCH', 2):
            parts, _, _ = draw.samples_of(model, draw.store_of(tmp_path), 0, 3)
    assert sorted(path.name for path in (tmp_path / 'quality').glob('*.npz')) == ['seed-0-0.npz', 'seed-0-1.npz']
    assert np.abs(parts.astype(int) - whole).max() <= 1  # the order of sums differs


@pytest.mark.parametrize('seeds', ['', '1,', 'x', '-1', '1,1'])
def test_wrong_seeds_are_refused(seeds):
    with pytest.raises(UserError, match='--seeds'):
        command.numbers(seeds)


@pytest.mark.parametrize('shape', [(48, 32, 8), (40, 40, 8)])
def test_a_size_that_the_tracker_cannot_read_is_refused(shape):
    with pytest.raises(UserError, match=f'{shape[0]}x{shape[1]}'):
        command.checked_shape(small.config(**{'sample.shapes': (shape,)}))


def test_the_command_is_told_without_folders_of_this_machine():
    argv = ['x', '--config=configs/pixels.py', '--workdir=/tmp/here', '--results=/tmp/there', '--config.sample.shapes=((16, 16, 4),)']
    assert command.command(argv) == ('python -m benchmarks.samples --config=configs/pixels.py '
                                     '"--config.sample.shapes=((16, 16, 4),)"')
