"""The road of published weights, on a tiny Wan: encode, train by LoRA and in full, and all that a run on latents must be as."""
import json
import shutil
from unittest import mock

import numpy as np
import pytest
import small
import wan_runs
import wan_small

from tqd_jax import export
from tqd_jax.cache.stores import open_texts
from tqd_jax.foundations.wan import PublishedWan
from tqd_jax.models.io.files import open_tensors
from tqd_jax.models.io.lora import read_lora
from tqd_jax.models.io.wan import load_params
from tqd_jax.models.wan.model import abstract_params
from tqd_jax.training.sampling.generate import generate
from tqd_jax.training.weights import fresh_state
from transfer_jax.runtime.errors import UserError

STEPS = wan_small.SMALL['train.steps']
GRADIENTS = {'align.clips': 3, 'align.chunks': 3, 'align.bins': 2, 'learn.chunks': 6, 'learn.chunk': 1, 'learn.bins': 2}
WHOLE = {'data.held_out_fraction': 0.0}


@pytest.fixture(scope='module')
def given(tmp_path_factory, compiled):
    """{'wan.path', 'data.clips'} of a tiny Wan and twelve clips."""
    folder = tmp_path_factory.mktemp('given')
    return {'wan.path': wan_small.write_folder(folder / 'wan'), 'data.clips': wan_runs.clips(folder / 'clips'), **WHOLE}


@pytest.fixture(scope='module')
def cached(given, tmp_path_factory):
    """{'wan.path', 'data.cache'}: the clips encoded."""
    cache = wan_runs.encoded(tmp_path_factory.mktemp('cache'), **given)
    return {'wan.path': given['wan.path'], 'data.cache': cache, **WHOLE}


@pytest.fixture(scope='module')
def lora(cached, tmp_path_factory):
    """(work directory, its changes, how often the VAE's decoder was loaded) of a finished LoRA run with samples before and after."""
    changes = {**cached, 'sample.every': STEPS}
    with mock.patch.object(PublishedWan, 'decoder', autospec=True, side_effect=PublishedWan.decoder) as decoder:
        return wan_runs.run(tmp_path_factory.mktemp('lora'), **changes), changes, decoder.call_count


def test_encoding_leaves_latents_and_each_caption_once(cached):
    found = wan_runs.records(cached['data.cache'])
    assert len(found['latents']) == 12 and len(found['text']) == len({*wan_runs.CAPTIONS, '', 'bad'})
    assert (cached['data.cache'] / 'skipped.jsonl').read_text() == '' and not (cached['data.cache'] / 'cut_captions.jsonl').exists()


def test_a_lora_run_leaves_what_was_promised(lora):
    workdir, _, loads = lora
    assert loads == 3, 'the decoder is loaded once for each set of samples'
    assert '<html' in (workdir / 'report.html').read_text()
    tensors = open_tensors(workdir / 'lora.safetensors')
    assert 'diffusion_model.blocks.0.self_attn.q.lora_A.weight' in tensors and len(tensors) == 2 * 10 * 3
    for folder in ('step-000000', f'step-{STEPS:06d}', '.'):
        assert len([*(workdir / 'samples' / folder).glob('*.mp4')]) == 2, folder
    same = lambda name: (workdir / 'samples/step-000000' / name).read_bytes() == (workdir / f'samples/step-{STEPS:06d}' / name).read_bytes()
    assert not same('00.mp4'), 'training changes no sample'
    assert not [path for path in workdir.rglob('*') if path.name.endswith(('.part', '.tmp'))]


def test_a_second_start_says_that_it_is_finished_and_encodes_nothing(lora, capsys):
    left = {path: path.stat().st_mtime_ns for path in lora[0].rglob('*') if path.is_file()}
    wan_runs.run(lora[0], **lora[1])
    assert f'holds a finished run of {STEPS} steps' in capsys.readouterr().out
    assert left == {path: path.stat().st_mtime_ns for path in lora[0].rglob('*') if path.is_file()}


@pytest.fixture(scope='module')
def alone(given, tmp_path_factory):
    """(Run, state, frozen) of the same training without a cache: main encodes by itself."""
    return wan_runs.trained(tmp_path_factory.mktemp('alone'), **given)


def test_main_alone_encodes_and_ends_with_the_same_bits(alone, lora):
    run, state, _ = alone
    assert wan_runs.records(run.workdir / 'cache') == wan_runs.records(lora[1]['data.cache'])
    step, wanted = wan_runs.saved(lora[0], **lora[1])
    assert step == STEPS and not wan_runs.different(wan_runs.arrays(state), wanted)


def test_frozen_parameters_keep_their_bits_and_are_in_no_checkpoint(alone, given):
    run, _, frozen = alone
    file = open_tensors(given['wan.path'] / 'diffusion_pytorch_model.safetensors')
    published = load_params(file, wan_small.MODEL, abstract_params(wan_small.MODEL))
    assert not wan_runs.different(wan_runs.arrays(frozen['model']), wan_runs.arrays(published))
    names = [name for name in wan_runs.saved(run.workdir, **given)[1] if name.split('/')[0] in ('trained', 'average')]
    assert len(names) == 2 * 2 * 10 and {name.split('/')[-1] for name in names} == {'lora_a', 'lora_b'}


def test_the_index_of_features_is_read_once_for_a_set_of_captions(lora):
    run = wan_runs.built(lora[0], **lora[1])
    with mock.patch('tqd_jax.foundations.wan.open_texts', wraps=open_texts) as reads:
        for _ in range(2):
            features = run.foundation.features(['one', 'bad'], run.workdir)
            assert run.frames_loader.texts is run.loader.texts
            run.foundation.conditions(run.workdir)
    assert reads.call_count == 1 and features.shape[0] == 2, 'captions of the library and the empty one were read when the run was built'


def test_a_run_goes_on_from_its_own_lora_file(lora, cached, tmp_path):
    file = shutil.copy(lora[0] / 'lora.safetensors', tmp_path / 'lora.safetensors')
    wan_runs.trained(tmp_path / 'run', **cached, **{'lora.init_from': file, 'train.steps': 1})
    begun, ended = small.lines(tmp_path / 'run/evaluation.jsonl')[0], small.lines(lora[0] / 'evaluation.jsonl')[-1]
    assert (begun['step'], ended['step']) == (0, STEPS)
    assert begun['loss'] == ended['loss'] != small.lines(lora[0] / 'evaluation.jsonl')[0]['loss']


def test_full_training_changes_every_parameter_and_lowers_the_loss(cached, tmp_path):
    changes = {**cached, 'train.trained': 'full', 'train.steps': 30, 'train.learning_rate': 3e-3, 'train.ema': 0.8, 'eval.every': 30,
               'checkpoint.every': 30}
    run, state, frozen = wan_runs.trained(tmp_path, **changes)
    first, last = wan_runs.losses(tmp_path)
    assert last < 0.9 * first
    start = wan_runs.arrays(fresh_state(run).trained)
    assert frozen['model'] == {} and sorted(wan_runs.different(wan_runs.arrays(state.trained), start)) == sorted(start)


@pytest.mark.parametrize('mode', [pytest.param('align', marks=pytest.mark.long), 'learn'])
def test_gradients_of_adapters_are_measured(lora, tmp_path, mode):
    workdir = shutil.copytree(lora[0], tmp_path / 'copy')
    wan_runs.run(workdir, mode, **lora[1], **GRADIENTS)
    record = json.loads((workdir / {'align': 'alignment.json', 'learn': 'law.json'}[mode]).read_text())
    assert record['step'] == STEPS
    if mode == 'align':
        cosine = np.array(record['matched']['cosine'], float)[:, 0]
        assert np.isfinite(cosine).all() and (np.abs(cosine) < 1 - 1e-6).all(), 'a worse copy has the gradient of the clip'
    else:
        assert record['clips'] == [6, 6] and np.isfinite(record['weight']).all()


def test_frozen_kernels_in_eight_bits_train(cached, tmp_path):
    _, state, frozen = wan_runs.trained(tmp_path, **cached, **{'wan.storage': 'int8', 'train.steps': 2, 'eval.every': 2})
    kernels = {leaf.dtype.name for name, leaf in wan_runs.arrays(frozen['model']['blocks']).items() if name.endswith('/kernel')}
    assert kernels == {'int8'} and np.isfinite(wan_runs.losses(tmp_path)).all()
    assert any(leaf.any() for name, leaf in wan_runs.arrays(state.trained).items() if name.endswith('lora_b'))


def test_several_windows_of_a_clip_are_encoded_and_drawn(given, cached, tmp_path):
    cache = shutil.copytree(cached['data.cache'], tmp_path / 'cache')
    changes = {**given, 'data.cache': cache, 'data.windows': 2, 'train.steps': 1}
    run, _, _ = wan_runs.trained(tmp_path / 'run', **changes)
    assert len(wan_runs.records(cache)['latents']) == 12 + 24, 'windows of another kind of cache are used'
    clip = int(run.training[1])  # it moves
    latents = {run.loader(number, np.full(2, clip)).video[0].tobytes() for number in range(20)}
    assert latents == {run.loader.store.reader[record].tobytes() for record in run.loader.store.records[clip]} and len(latents) == 2


@pytest.fixture(scope='module')
def experts(cached, tmp_path_factory):
    """The changes of a run on two experts, with the same VAE and text encoder: the cache is the same."""
    return {**cached, 'wan.path': wan_small.write_folder(tmp_path_factory.mktemp('experts'), experts=('high', 'low')), 'train.steps': 8}


@pytest.mark.parametrize(('expert', 'changes'), [
    pytest.param('high', {}, marks=pytest.mark.long), ('low', {'train.trained': 'full', 'wan.storage': 'bfloat16'})])
def test_an_expert_trains_on_its_own_range_and_samples_use_both(experts, tmp_path, monkeypatch, expert, changes):
    run, state, frozen = wan_runs.trained(tmp_path, **experts, **changes, **{'wan.expert': expert})
    counts, edge = np.load(tmp_path / 'drawn.npz')['counts'].sum(0), round(0.875 * 40)
    outside, inside = (counts[:edge], counts[edge:]) if expert == 'high' else (counts[edge:], counts[:edge])
    assert inside.sum() == 16 and outside.sum() == 0
    other, calls = PublishedWan.other, []
    monkeypatch.setattr(PublishedWan, 'other', lambda *arguments: (calls.append(1), other(*arguments))[1])
    frames, _ = generate(run, state.average, frozen)
    assert calls == [1] and len(frames) == 2, 'the other expert is read once for all samples'


def test_export_writes_the_run_and_refuses_one_without_a_checkpoint(lora, tmp_path):
    with wan_runs.one_device():
        export.export(lora[0], format='comfyui', output=tmp_path / 'lora.safetensors')
        assert (tmp_path / 'lora.safetensors').read_bytes() == (lora[0] / 'lora.safetensors').read_bytes()
        shutil.copy(lora[0] / 'config.json', tmp_path)
        for folder, words in (tmp_path, 'has no checkpoint yet: train first'), (tmp_path / 'nowhere', 'is no folder of a run'):
            with pytest.raises(UserError, match=words):
                export.export(folder, format='comfyui', output=tmp_path / 'other.safetensors')
    assert not (tmp_path / 'other.safetensors').exists()


@pytest.fixture
def transformers(given, tmp_path):
    """A folder with another transformer, called that for high noise, and the one of the runs; no other part of the model is there."""
    wan_small.write_transformer(tmp_path / 'high', wan_small.transformer(1), 'original')
    (tmp_path / 'mine').mkdir()
    for name in ('diffusion_pytorch_model.safetensors', 'config.json'):
        shutil.copy(given['wan.path'] / name, tmp_path / 'mine')
    return tmp_path


def exported(run, folder, format):
    """The tensors of an export in float32, and those of the file that the run left."""
    with wan_runs.one_device():
        export.export(run, format=format, output=folder / 'x.safetensors', dtype='float32', wan=folder)
    return open_tensors(folder / 'x.safetensors'), open_tensors(run / 'lora.safetensors')


def test_export_as_kohya_has_the_matrices_of_the_run_and_needs_its_transformer_alone(lora, transformers):
    file, own = exported(lora[0], transformers, 'kohya')
    assert 'lora_unet_blocks_0_self_attn_q.lora_down.weight' in file
    file, own = (read_lora(tensors, wan_small.MODEL) for tensors in (file, own))
    assert (file.kind, own.kind) == ('C', 'B') and (file.rank, file.alpha, file.has_alpha) == (own.rank, own.alpha, True)
    assert not wan_runs.different(wan_runs.arrays(file.tree), wan_runs.arrays(own.tree))


def test_export_merges_the_adapters_into_the_weights_that_the_run_started_from(lora, given, transformers):
    merged, own = exported(lora[0], transformers, 'original')
    published = open_tensors(given['wan.path'] / 'diffusion_pytorch_model.safetensors')
    for name, tensor in published.items():
        stem, expected = f'diffusion_model.{name.removesuffix(".weight")}', np.asarray(tensor)
        if f'{stem}.alpha' in own:
            a, b = (np.asarray(own[f'{stem}.lora_{part}.weight']) for part in 'AB')
            expected = expected + float(np.asarray(own[f'{stem}.alpha'])) / len(a) * b @ a
        np.testing.assert_allclose(np.asarray(merged[name]), expected, rtol=1e-5, atol=1e-7)


def test_export_says_where_weights_are_lacking_or_others(lora, transformers):
    shutil.rmtree(transformers / 'mine')
    for path, words in (transformers, 'started from other weights than those of'), (transformers / 'gone', 'is not there: say by --wan'):
        with wan_runs.one_device(), pytest.raises(UserError, match=words):
            export.export(lora[0], format='comfyui', output=transformers / 'x.safetensors', wan=path)


def test_other_weights_are_refused_before_clips_are_read(lora, tmp_path):
    workdir, cache = shutil.copytree(lora[0], tmp_path / 'run'), tmp_path / 'cache'
    cache.mkdir()
    shutil.move(workdir / 'scores.parquet', cache)
    (workdir / 'report.html').unlink()
    other = {**lora[1], 'wan.path': wan_small.write_folder(tmp_path / 'other', seed=1), 'data.cache': cache}
    for mode in ('train', 'sample', 'align'):
        with pytest.raises(UserError, match='started from other weights'):
            wan_runs.run(workdir, mode, **other)
    assert not (workdir / 'scores.parquet').exists() and {path.name for path in cache.iterdir()} <= {'scores.parquet', 'hashes.json'}
