"""Another trainer's name of a key is answered by the key of that meaning, and never by a key that is not there."""
import dataclasses
import re

import pytest

from tqd_jax.config import Config
from tqd_jax.launching.config import Launch
from tqd_jax.scoring.config import ScoreConfig
from transfer_jax.experiment.config import MultitaskConfig, TransferConfig
from transfer_jax.runtime.app import overridden
from transfer_jax.runtime.config import defaults, rules
from transfer_jax.runtime.config.check import unknown_key
from transfer_jax.runtime.config.meanings import ELSEWHERE, NAMES, NOTES, SECTIONS, by_meaning
from transfer_jax.runtime.errors import UserError

MAIN, TRANSFER, MULTITASK = (rules(schema) for schema in (Config, TransferConfig, MultitaskConfig))


def test_every_key_of_the_table_is_one_of_a_job():
    every = {*MAIN, *TRANSFER, *MULTITASK}
    assert not {*NAMES, *NOTES, *(key for section in SECTIONS.values() for key in section.values())} - every


def test_every_key_and_flag_of_what_no_key_is_exists():
    """The flags are those of a run, and of the command of scores."""
    texts = ' '.join([*ELSEWHERE, *NOTES.values()])
    assert set(re.findall(r'config\.([a-z_.]*[a-z_])', texts)) <= {*MAIN}
    schema = {field.name for field in dataclasses.fields(ScoreConfig)}
    assert set(re.findall(r'--([a-z_]+)', texts)) <= {*schema, 'workdir'}


def test_what_no_key_is_has_no_name_of_a_key():
    names = [name for names in ELSEWHERE.values() for name in names.split()]
    assert sorted(names) == sorted(set(names))
    assert not {*names} & {name for key, names in NAMES.items() if key in MAIN for name in names.split()}


def test_no_name_has_two_meanings_in_a_job_and_none_is_a_key_there():
    for keys in (MAIN, TRANSFER):
        names = [name for key, names in NAMES.items() if key in keys for name in names.split()]
        assert sorted(names) == sorted(set(names))
    places = {f'{key.rpartition(".")[0]}.{name}' for key, names in NAMES.items() for name in names.split()}
    assert not places & set(MAIN) - {'data.fps'}


@pytest.mark.parametrize('key, meant', [
    ('train.lr', 'train.learning_rate'), ('lr', 'train.learning_rate'), ('train.max_train_steps', 'train.steps'),
    ('train.gradient_accumulation_steps', 'train.accumulate'), ('train_batch_size', 'train.batch'), ('mixed_precision', 'model.dtype'),
    ('lora_rank', 'lora.rank'), ('network_dim', 'lora.rank'), ('network_alpha', 'lora.alpha'), ('train.lr-warmup-steps', 'train.warmup'),
    ('train.checkpointing_steps', 'checkpoint.every'), ('save_every', 'checkpoint.every'), ('guidance_scale', 'sample.guidance'),
    ('num_inference_steps', 'sample.steps'), ('data.num_frames', 'data.buckets'), ('sample.height', 'sample.shapes'),
    ('data.resolution', 'data.buckets'), ('model.fps', 'data.fps'), ('ema_decay', 'train.ema'), ('max_grad_norm', 'train.clip_norm'),
    ('discrete_flow_shift', 'law.shift'), ('sample.flow_shift', 'sample.shift'), ('caption_dropout_rate', 'train.caption_dropout'),
    ('train.seed', 'seed'), ('train.caption_dropuot', 'train.caption_dropout'), ('weight_decay', 'train.weight_decay'),
    ('train.gradient_checkpointing', 'model.remat'), ('pretrained_model_name_or_path', 'wan.path'), ('Train_Data_Dir', 'data.clips'),
    ('data.metadata', 'data.clips'), ('dataset_path', 'data.clips'), ('data.caption_column', 'data.columns'), ('num_repeats', 'data.mix'),
    ('training_type', 'train.trained'), ('batch_size', 'train.batch'),
    ('lora_checkpoint', 'lora.init_from'), ('timestep_sampling', 'law.base'), ('tp_degree', 'mesh.context')])
def test_the_main_job_names_its_own_key(key, meant):
    assert f'did you mean config.{meant}' in unknown_key(key, 1, MAIN)
    with pytest.raises(UserError, match=f'there is no such key; did you mean config.{meant}'):
        overridden(defaults(Config), [f'--config.{key}=1'], Config)


@pytest.mark.parametrize('key, meant', [
    ('train.lr', 'train.learning_rate'), ('num_train_epochs', 'train.epochs'), ('data_root', 'data.path'), ('batch_size', 'train.batch'),
    ('network_dim', 'model.lora_rank'), ('img_size', 'data.image_size')])
def test_so_does_the_transfer_job(key, meant):
    assert f'did you mean config.{meant}' in unknown_key(key, 1, TRANSFER)


@pytest.mark.parametrize('key', ['train.guidance_scale', 'ema_decay', 'train.max_train_steps', 'sample.flow_shift', 'checkpointing_steps'])
def test_nothing_is_suggested_that_a_job_has_not(key):
    assert by_meaning(key, TRANSFER) is None and 'did you mean' not in unknown_key(key, 1, MULTITASK)


@pytest.mark.parametrize('key, words', [('train.resume_from_checkpoint', 'a run goes on by itself'), ('output_dir', 'the flag --workdir'),
                                        ('train.num_train_epochs', 'there are no epochs: config.train.steps counts updates'),
                                        ('data.scores', 'python -m tqd_jax.score --scores=FILE'),
                                        ('data.caption_file', 'config.data.columns'),
                                        ('report_to', 'metrics.jsonl'), ('num_gpus', 'config.mesh.fsdp')])
def test_what_no_key_is_is_told(key, words):
    assert words in unknown_key(key, 1, MAIN)


def test_a_launch_config_is_told_nothing_of_training():
    assert all(by_meaning(name, rules(Launch)) is None for names in [*NAMES.values(), *ELSEWHERE.values()] for name in names.split())
