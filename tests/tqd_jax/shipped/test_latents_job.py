"""The main job, shrunk, on the weights of the package: encoded, trained, sampled and exported, on rendered clips and on others."""
import json
import pathlib
import types

import jax
import numpy as np
import pytest
import small
import tiny_runs

from tqd_jax import export, main
from tqd_jax.clips import scenes
from tqd_jax.clips.read import read_clip
from tqd_jax.foundations.sources import open_sources
from tqd_jax.models.assets import ASSETS
from tqd_jax.models.io.files import open_tensors
from tqd_jax.models.io.wan import read_config
from tqd_jax.models.wan.lora import LoraConfig
from tqd_jax.shipped.start import write_tokenizer
from tqd_jax.text.umt5.encoder import read_encoder
from transfer_jax.runtime.errors import UserError
from transfer_jax.runtime.parallel.mesh import make_mesh

TINY = ASSETS / 'tiny_wan'
FRAMES, SIZE = 17, 64


@pytest.fixture(scope='module')
def finished(tmp_path_factory, compiled):
    """The work directory of a whole run on rendered clips."""
    return tiny_runs.run('video', tmp_path_factory.mktemp('latents') / 'latents')


def test_the_shipped_model_is_whole_and_small():
    sources = open_sources(tiny_runs.config('video'), make_mesh())
    assert sources.codec.latent_shape(FRAMES, SIZE, SIZE) == (5, 8, 8, 16)
    assert sources.model.patch == (1, 2, 2) and sources.model.text_len == 32
    sizes = {path.relative_to(TINY).parts[0]: path.stat().st_size for path in TINY.rglob('*.safetensors')}
    assert sizes.keys() == {'transformer', 'vae', 'text_encoder'} and max(sizes.values()) <= 4e6 and sizes['text_encoder'] < 3e5


def test_its_tokenizer_and_text_encoder_are_those_of_the_random_start(tmp_path):
    write_tokenizer(tmp_path / 'tokenizer')
    ours, theirs = (read_encoder(TINY / 'text_encoder', folder, length=32, dtype='float32') for folder in (tmp_path / 'tokenizer', None))
    captions = [f'a {colour} {shape}' for colour in scenes.COLOURS for shape in scenes.SHAPES]
    np.testing.assert_array_equal(ours.prepare(captions), theirs.prepare(captions))
    features = np.asarray(theirs.encode(jax.device_put(theirs.load(TINY / 'text_encoder')), theirs.prepare(captions)))
    assert len(np.unique(features[:, 1:3].reshape(len(captions), -1).round(3), axis=0)) == len(captions)


def test_the_job_leaves_what_was_promised(finished):
    assert '<html' in (finished / 'report.html').read_text()
    assert {path.name for path in (finished / 'cache').iterdir()} >= {'latents', 'text'}
    frames = read_clip(str(finished / 'samples/00.mp4'), rate=12).frames
    assert len(frames) == FRAMES and frames.shape[1] == frames.shape[2]
    assert json.loads((finished / 'summary.json').read_text())['clips'] == tiny_runs.SMALL['data.rendered_clips']


def test_the_run_can_be_sampled_evaluated_and_exported(finished, tmp_path, capsys):
    tiny_runs.run('video', finished, 'sample', **{'sample.captions': ('a red ring',)})
    assert json.loads((finished / 'samples.json').read_text())['captions'] == ['a red ring']
    tiny_runs.run('video', finished, 'eval')
    assert 'by noise bin' in capsys.readouterr().out
    export.export(finished, format='diffusers', output=str(tmp_path / 'transformer'), dtype='float32')
    described = json.loads((tmp_path / 'transformer/config.json').read_text())
    assert read_config(open_tensors(tmp_path / 'transformer'), described).text_len == described['text_len'] == 32


def test_a_run_starts_from_what_another_has_made(finished, tmp_path):
    export.export(finished, format='diffusers', output=str(tmp_path / 'transformer'), dtype='float32')
    parts = {f'wan.{part}': f'asset:tiny_wan/{part}' for part in ('vae', 'text_encoder', 'tokenizer')}
    given = {**parts, 'wan.path': tmp_path / 'transformer', 'data.cache': finished / 'cache', 'compare': None, 'train.steps': 1,
             'data.clips': finished / 'library/manifest.parquet'}
    further = tiny_runs.run('video', tmp_path / 'further', **given)
    start, end = (json.loads(line) for folder, at in ((further, 0), (finished, -1))
                  for line in [(folder / 'evaluation.jsonl').read_text().splitlines()[at]])
    assert start['step'] == 0 and start['count'] == end['count']
    np.testing.assert_allclose(np.array(start['loss'], float), np.array(end['loss'], float), rtol=1e-5)


def test_it_goes_on_to_the_same_bits(finished, tmp_path):
    tiny_runs.run('video', tmp_path, **{'train.steps': 2})
    tiny_runs.run('video', tmp_path)
    one, other = (tiny_runs.saved('video', folder) for folder in (finished, tmp_path))
    assert one.keys() == other.keys() and not [name for name in one if one[name].tobytes() != other[name].tobytes()]


@pytest.mark.parametrize(('changes', 'words'), [
    ({'wan.path': 'asset:none'}, 'the package has no such weights, but asset:tiny_wan'),
    ({'data.buckets': ((64, 64, 16),)}, r'the transformer\'s patch is 1 frame of 2 x 2 latents: frames 16 \(take 13 or 17\)')])
@pytest.mark.parametrize('mode', ['train', 'score'])
def test_what_training_refuses_is_refused_before_clips_are_scored(tmp_path, mode, changes, words):
    with pytest.raises(UserError, match=words):
        tiny_runs.run('video', tmp_path, mode, **changes)
    assert not (tmp_path / 'scores.parquet').exists()


@pytest.mark.parametrize(('lora', 'word'), [(None, 'weights'), (LoraConfig(), 'other layouts')])
def test_the_last_line_of_a_run_says_how_its_weights_go_out(tmp_path, monkeypatch, capsys, lora, word):
    monkeypatch.setattr(main, 'write_lora', lambda *_, **__: None)
    main.save_result(types.SimpleNamespace(config=tiny_runs.config('video'), workdir=tmp_path, model=types.SimpleNamespace(lora=lora)), {})
    assert capsys.readouterr().out.splitlines()[-1] == f'{word}: python -m tqd_jax.export {tmp_path} --format=diffusers --output=PATH'


def test_clips_of_one_s_own(tmp_path):
    folder = small.moving(tmp_path / 'clips', [f'{number}.mp4' for number in range(8)], seconds=2.0, fps=12)
    pathlib.Path(folder, '0.txt').write_text('Two dogs run over the grass.')
    tiny_runs.run('video', tmp_path / 'run', 'score', **{'data.clips': folder})
    tiny_runs.run('video', tmp_path / 'run', **{'data.clips': folder})
    assert json.loads((tmp_path / 'run/summary.json').read_text())['clips'] == 8 and not (tmp_path / 'run/library').exists()
