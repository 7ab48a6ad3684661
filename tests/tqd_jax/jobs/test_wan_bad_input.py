"""What bad input gets from a run on published weights: one line before anything expensive, or a listed skip; nothing is lost."""
import dataclasses
import errno
import os
import pathlib
import shutil
import subprocess
import sys

import numpy as np
import pytest
import safetensors.numpy
import small
import umt5_small
import wan_runs
import wan_small
from wan_signalled import small_shards

from tqd_jax.cache import latents, records
from tqd_jax.latents.wan_vae.codec import WanCodec
from tqd_jax.latents.wan_vae.config import MEAN_48, STD_48, VaeConfig
from tqd_jax.models.io.lora_write import write_lora
from tqd_jax.models.wan.lora import LoraConfig
from transfer_jax.runtime.errors import UserError

TRANSFORMER, VAE, TEXT = 'diffusion_pytorch_model.safetensors', 'Wan2.1_VAE.safetensors', 'models_t5_umt5-xxl-enc-bf16.safetensors'
CLIPS = 4


@pytest.fixture(scope='module')
def wan(tmp_path_factory):
    """The folder of a tiny Wan."""
    return wan_small.write_folder(tmp_path_factory.mktemp('wan'))


@pytest.fixture(scope='module')
def given(wan, tmp_path_factory, compiled):
    """{'wan.path', 'data.clips'} of it and four clips."""
    return {'wan.path': wan, 'data.clips': wan_runs.clips(tmp_path_factory.mktemp('clips'), CLIPS), 'data.held_out_fraction': 0.0}


@pytest.fixture(scope='module')
def cache(given, tmp_path_factory):
    """Its cache."""
    return wan_runs.encoded(tmp_path_factory.mktemp('cache'), **given)


@pytest.fixture
def copied(wan, tmp_path):
    """A copy of the folder of weights, to be damaged."""
    return shutil.copytree(wan, tmp_path / 'wan')


def refused(workdir, pattern, job=wan_runs.run, **changes):
    """The one line that matches, of a job that did nothing before."""
    with pytest.raises(UserError, match=pattern) as error:
        job(workdir, **changes)
    assert '\n' not in str(error.value)
    assert not (workdir / 'scores.parquet').exists() and not [*workdir.glob('**/*.array_record')]
    return str(error.value)


def edit(path, change):
    """Rewrites a .safetensors file with its arrays as change(arrays) leaves them."""
    arrays = safetensors.numpy.load_file(path)
    change(arrays)
    safetensors.numpy.save_file(arrays, path)


def half(path):
    """Cuts a file in the middle."""
    os.truncate(path, path.stat().st_size // 2)


def without(name):
    """A function that removes an array."""
    return lambda path: edit(path, lambda arrays: arrays.pop(name))


DAMAGED = {  # file: what is done to it, words of the answer
    'shard': (TRANSFORMER, half, 'cut short|truncated|has .* bytes'),
    'tensor': (TRANSFORMER, without('blocks.1.ffn.2.bias'), r'lack 1 tensor, such as blocks\.1\.ffn\.2\.bias'),
    'vae': (VAE, without('decoder.conv1.bias'), r'the VAE .*Wan2\.1_VAE\.safetensors lacks 1 tensor, such as decoder\.conv1\.bias'),
    'vae cut': (VAE, half, 'cut short|truncated|has .* bytes'),
    'text': (TEXT, without('blocks.2.attn.v.weight'), r'blocks\.2\.attn\.v\.weight'),
    'no vae': (VAE, pathlib.Path.unlink, r'config\.wan\.path has no VAE: name its file by config\.wan\.vae'),
    'no text': (TEXT, pathlib.Path.unlink, r'has no text encoder, and .*cache has no text features: .* config\.wan\.text_encoder'),
    'no tokenizer': ('google/umt5-xxl/spiece.model', pathlib.Path.unlink, 'there is no tokenizer'),
    'no transformer': (TRANSFORMER, pathlib.Path.unlink, 'has no Wan transformer; found: a VAE at .*'),
}


@pytest.mark.parametrize('fault', DAMAGED)
def test_files_that_are_not_whole_are_refused_before_clips_are_scored(given, copied, tmp_path, fault):
    file, damage, words = DAMAGED[fault]
    damage(copied / file)
    refused(tmp_path / 'run', words, **{**given, 'wan.path': copied})


def test_as_programs_they_are_one_line_on_stderr_and_code_2(given, copied, program, tmp_path):
    half(copied / TRANSFORMER)
    for job, flag in ('encode', 'output'), ('main', 'workdir'):
        command = [sys.executable, '-m', *wan_small.command_line(job, f'--{flag}={tmp_path / job}', **{**given, 'wan.path': copied})]
        done = subprocess.run(command, cwd=small.ROOT, env=program.environment, text=True, capture_output=True, timeout=120)
        assert done.returncode == 2 and done.stderr.startswith('error: ') and TRANSFORMER in done.stderr, done.stderr
        assert done.stderr.count('\n') == 1 and not done.stdout


def test_weights_of_other_kinds_are_refused(given, copied, tmp_path):
    images = dataclasses.replace(wan_small.MODEL, in_channels=36)
    wan_small.write_transformer(copied, wan_small.transformer(config=images), 'original', images)
    refused(tmp_path / 'run', 'takes 36 channels and gives 16, as image-to-video .* not supported', **{**given, 'wan.path': copied})
    other = VaeConfig(base_dim=4, decoder_base_dim=4, z_dim=48, patch=2, residual=True, mean=MEAN_48, std=STD_48)
    (tmp_path / 'other').mkdir()
    wan_small.write_vae(tmp_path / 'other', 'original', other)
    words = r'latents of 48 channels, and the transformer takes 16: .* 2\.2'
    refused(tmp_path / 'run', words, **given, **{'wan.vae': tmp_path / 'other' / VAE})
    wide = dataclasses.replace(umt5_small.CONFIG, width=24)
    safetensors.numpy.save_file(umt5_small.random_arrays(wide), tmp_path / 'wide.safetensors')
    text = {'wan.text_encoder': tmp_path / 'wide.safetensors', 'wan.tokenizer': copied / 'google/umt5-xxl'}
    refused(tmp_path / 'run', 'features of 24 numbers, and the transformer takes 16', **given, **text)
    refused(tmp_path / 'run', 'is a transformer, not a VAE', **given, **{'wan.vae': given['wan.path'] / TRANSFORMER})


def test_experts_and_the_key_that_chooses_one_must_fit(given, tmp_path):
    refused(tmp_path / 'run', r"config\.wan\.expert = 'low', and config\.wan\.path has one transformer", **given, **{'wan.expert': 'low'})
    refused(tmp_path / 'run', r'two values are for a model with two experts', **given, **{'sample.guidance': (4.0, 3.0)})
    two = {**given, 'wan.path': wan_small.write_folder(tmp_path / 'two', experts=('high', 'low'))}
    refused(tmp_path / 'run', r'has the experts high, low: say by config\.wan\.expert which one', **two)
    file = tmp_path / 'two/low_noise_model' / TRANSFORMER
    without('blocks.0.norm3.weight')(file)
    words = r'low_noise_model.* lack 1 tensor, such as blocks\.0\.norm3\.weight'
    refused(tmp_path / 'run', words, **two, **{'wan.expert': 'high'})  # the one that only samples read
    shutil.rmtree(file.parent)
    refused(tmp_path / 'run', 'has one expert of two, that for high noise', **two, **{'wan.expert': 'high'})


def lora_file(path, model=wan_small.MODEL, scale=1.0, **options):
    """A LoRA of all modules of a model, of rank 4."""
    lora = LoraConfig(rank=4, alpha=4, targets=('attention', 'cross', 'ffn'))
    whole = wan_small.transformer(config=dataclasses.replace(model, lora=lora))
    pick = lambda tree: {name: pick(part) if isinstance(part, dict) else scale * part for name, part in tree.items()
                         if isinstance(part, dict) or name in ('lora_a', 'lora_b')}
    prune = lambda tree: {name: prune(part) if isinstance(part, dict) else part for name, part in tree.items()
                          if not isinstance(part, dict) or prune(part)}
    tree = {'blocks': prune(pick(whole['blocks']))}
    return write_lora(path, tree, rank=4, alpha=4, config=model, kind='comfyui', **options)


def test_a_lora_of_another_model_is_refused_before_clips_are_scored(given, tmp_path):
    deep, wide = (dataclasses.replace(wan_small.MODEL, **sizes) for sizes in ({'layers': 3}, {'heads': 3}))
    own, rank = tmp_path / 'own.safetensors', {'lora.rank': 4, 'lora.alpha': 4.0}
    start = lambda file, words, **changes: refused(tmp_path / 'run', words, **given, **{'lora.init_from': file, **rank, **changes})
    start(lora_file(tmp_path / 'deep.safetensors', deep), 'has block 2 .* but the model has 2')
    start(lora_file(tmp_path / 'wide.safetensors', wide), 'give a LoRA of this model and size')
    start(lora_file(tmp_path / 'zero.safetensors', scale=0.0), 'changes nothing: every A B in it is zero')
    start(lora_file(own), r'goes with --config\.lora\.rank=4', **{'lora.rank': 8, 'lora.alpha': 4.0})
    start(own, r'goes with "--config\.lora\.targets=attention/q\|', **{'lora.targets': ('cross',)})
    start(tmp_path / 'gone.safetensors', r'gone\.safetensors cannot be read')
    (tmp_path / 'adapter_config.json').write_text('{')
    start(own, r'adapter_config\.json cannot be read')


CONTRADICTIONS = [
    ({'wan.path': None, 'wan.vae': 'x'}, r'model\.preset = None takes the sizes of published weights'),
    ({'wan.path': None, 'model.preset': 'tiny', 'sample.steps': 2, 'wan.vae': 'x'}, r"wan\.vae = 'x' wants config\.wan\.path"),
    ({'wan.path': None, 'model.preset': 'tiny', 'wan.storage': 'bfloat16', 'wan.text_dtype': 'bfloat16', 'data.cache': 'x'},
     r"data\.cache = 'x' is about encoded clips and wants config\.wan\.path"),
    ({'model.preset': 'tiny'}, r"model\.preset = 'tiny': with config\.wan\.path.*configs/pixels\.py"),
    ({'model.vocab': 3}, r'read config\.model\.vocab '),
    ({'init_from': 'asset:tiny.npz'}, r'names other weights to start from.*configs/pixels\.py'),
    ({'train.prediction': 'noise'}, 'predict the flow'),
    ({'train.precondition': (0.0, 1.0)}, r'set config\.train\.precondition=None'),
    ({'train.trained': 'full', 'lora.rank': 4}, r'lora\.rank = 4 wants config\.train\.trained = "lora"'),
    ({'train.trained': 'blocks/('}, r'train\.trained = .* is no regular expression'), ({'train.trained': 'head'}, 'selects no parameter'),
    ({'data.buckets': ((16, 16, 6),)}, r'patch is 1 frame of .* frames 6 \(take 5 or 9\)'),
    ({'data.buckets': ((24, 20, 5),)}, r'height 20 \(take 16 or 32\)'),
    ({'sample.shapes': ((16, 16, 7),)}, r'config\.sample\.shapes: .* frames 7 \(take 5 or 9\)'),
    ({'wan.vae_tile': 100}, r'wan\.vae_tile = 100 is no multiple of 64'),
    ({'data.clips': None}, r'there are no clips: .*it names none'), ({'wan.path': '/nowhere'}, '/nowhere')]


@pytest.mark.parametrize(('changes', 'words'), CONTRADICTIONS, ids=lambda value: str(value)[:40])
def test_keys_that_contradict_each_other_or_the_weights_are_told(given, tmp_path, changes, words):
    refused(tmp_path / 'run', words, **{**given, **changes})


def test_a_cache_without_scores_is_no_library(given, tmp_path):
    (tmp_path / 'cache').mkdir()
    refused(tmp_path / 'run', r'cache has no scores\.parquet', **{**given, 'data.clips': None, 'data.cache': tmp_path / 'cache'})
    assert not (tmp_path / 'run/config.json').exists()
    refused(tmp_path / 'run', 'nothing to encode with', wan_runs.encoded, **{**given, 'wan.path': None, 'model.preset': 'tiny',
                                                                             'wan.storage': 'bfloat16', 'wan.text_dtype': 'bfloat16'})


def test_a_long_caption_is_cut_counted_and_listed(given, cache, tmp_path, capsys):
    clips, long = given['data.clips'].parent, 'the red disc ' * 400
    table = wan_runs.clips(clips, CLIPS, captions=('one', long), name='long.parquet')
    own = shutil.copytree(cache, tmp_path / 'cache')
    for _ in range(2):
        wan_runs.encoded(own, **{**given, 'data.clips': table})
    out = capsys.readouterr().out
    assert f"1 is longer than 512 tokens and cut; see {own / 'cut_captions.jsonl'}; the first is 'the red disc the" in out
    assert out.count('longer') == 1
    assert small.lines(own / 'cut_captions.jsonl') == [{'caption': long}]


def test_a_cache_of_another_vae_is_not_used_and_stays(given, cache, tmp_path, capsys):
    own, vae = shutil.copytree(cache, tmp_path / 'cache'), tmp_path / 'vae'
    vae.mkdir()
    wan_small.write_vae(vae, 'original', seed=1)
    wan_runs.encoded(own, **given, **{'wan.vae': vae / VAE})
    assert f'latents: {CLIPS} encoded, 0 found' in capsys.readouterr().out
    old, new = wan_runs.records(cache), wan_runs.records(own)
    assert old['latents'].items() < new['latents'].items() and len(new['latents']) == 2 * CLIPS and old['text'] == new['text']
    assert not set(old['latents'].values()) & {value for key, value in new['latents'].items() if key not in old['latents']}


def test_a_disk_that_fills_while_encoding_is_told_and_the_same_command_goes_on(given, cache, tmp_path, monkeypatch):
    sync, calls = os.fsync, []

    def full(file):
        calls.append(1)
        if len(calls) == 2:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        sync(file)

    monkeypatch.setattr(records.os, 'fsync', full)
    words = r'latents: a shard cannot be written \(No space left.*earlier shards stay'
    with small_shards(), pytest.raises(UserError, match=words) as error:
        wan_runs.encoded(tmp_path, **given)
    assert '\n' not in str(error.value) and len(wan_runs.records(tmp_path)['latents']) == 2
    wan_runs.encoded(tmp_path, **given)
    assert wan_runs.records(tmp_path) == wan_runs.records(cache)


def test_a_vae_that_is_not_finite(given, copied, tmp_path):
    def spoil(value):
        edit(copied / VAE, lambda arrays: arrays['encoder.conv1.weight'].fill(value))
    spoil(np.nan)
    with pytest.raises(UserError, match=r"the VAE's encoder\.conv1\.weight holds NaN or infinity"):
        wan_runs.run(tmp_path / 'nan', **{**given, 'wan.path': copied})
    spoil(3e38)
    words = r'4 of 4 clips cannot be used, more than .*=0\.25; 0 have no scores, and 4 cannot be encoded; ' \
            r'the first is .*\(its latents are not finite\); to try again, delete .*cache/failed\.jsonl; all are listed in'
    with pytest.raises(UserError, match=words):
        wan_runs.run(tmp_path / 'run', **{**given, 'wan.path': copied})
    assert [line['reason'] for line in small.lines(tmp_path / 'run/skipped.jsonl')] == ['its latents are not finite'] * CLIPS
    assert not (tmp_path / 'run/checkpoints').exists()


@pytest.fixture
def poisoned(monkeypatch):
    """Clip 2 has no finite latents."""
    compute = latents._compute
    monkeypatch.setattr(latents, '_compute', lambda codec, params, ones, *rest: [
        compute(codec, params, ones, *rest)[0], np.array([ones[0]['clip'] != 2])])


@pytest.mark.usefixtures('poisoned')
def test_one_clip_without_finite_latents_is_a_listed_skip_which_is_not_tried_again(given, tmp_path, monkeypatch, capsys):
    told = f'1 of 4 clips cannot be encoded and is skipped, see {tmp_path / "skipped.jsonl"}; the first is '
    run, _, _ = wan_runs.trained(tmp_path, **given, **{'train.steps': 1})
    assert len(run.library) == CLIPS - 1 and told in capsys.readouterr().out
    line, = small.lines(tmp_path / 'skipped.jsonl')
    assert line['clip'].endswith('02.mp4') and line['reason'] == 'its latents are not finite'
    monkeypatch.setattr(WanCodec, 'load', lambda *arguments: pytest.fail('the VAE is read again'))
    again, _, _ = wan_runs.trained(tmp_path, **given, **{'train.steps': 1})
    out = capsys.readouterr().out
    assert told in out and f'; to try again, delete {tmp_path / "cache/failed.jsonl"}\n' in out
    assert len(again.library) == CLIPS - 1 and small.lines(tmp_path / 'skipped.jsonl') == [line]


@pytest.mark.usefixtures('poisoned')
def test_a_clip_without_scores_and_one_without_latents_are_too_many_together(given, cache, tmp_path):
    clips = given['data.clips'].parent
    small.moving(clips / 'short', ['short.mp4'], seconds=0.25)
    folder = tmp_path / 'clips'
    folder.mkdir()
    for path in [*clips.glob('*.mp4'), clips / 'short/short.mp4']:
        shutil.copy(path, folder)
    own = shutil.copytree(cache, tmp_path / 'cache')
    words = r'2 of 5 clips cannot be used, more than .*=0\.25; 1 have no scores, and 1 cannot be encoded; the first is .*02\.mp4'
    with pytest.raises(UserError, match=words):
        wan_runs.encoded(own, **{**given, 'data.clips': folder, 'data.crop': 'center'})
    assert (own / 'skipped.jsonl').read_bytes() == (cache / 'skipped.jsonl').read_bytes(), 'a refused command changes nothing'


def test_a_damaged_shard_stops_the_training_by_its_name(given, cache, tmp_path):
    own = shutil.copytree(cache, tmp_path / 'cache')
    shard, = (own / 'latents').glob('*.array_record')
    data = bytearray(shard.read_bytes())
    start = data.find(b'\x28\xb5\x2f\xfd')  # of zstd: the first record
    data[start + 20:start + 60] = bytes(40)
    shard.write_bytes(data)
    changes = {'wan.path': given['wan.path'], 'data.cache': own, 'data.held_out_fraction': 0.0}
    with pytest.raises(UserError, match=r'array_record is damaged .*: delete that file and encode again') as error:
        wan_runs.trained(tmp_path / 'run', **changes)
    assert shard.name in str(error.value) and '\n' not in str(error.value)
    half(shard)
    with pytest.raises(UserError, match=r'array_record is damaged .*bytes, and had'):
        wan_runs.trained(tmp_path / 'run', **changes)


def test_features_alone_train_where_there_is_no_text_encoder_and_lacking_ones_are_told(given, cache, copied, tmp_path):
    (copied / TEXT).unlink()
    changes = {**given, 'wan.path': copied, 'data.cache': cache, 'train.steps': 1}
    run, _, _ = wan_runs.trained(tmp_path / 'run', **changes)
    assert len(run.library) == CLIPS
    words = r"lacks the features of 1 caption, such as 'a new one', and config\.wan\.path has no text encoder"
    with pytest.raises(UserError, match=words):
        wan_runs.trained(tmp_path / 'other', **changes, **{'sample.captions': ('a new one',)})
