"""Pretraining gives the same bits twice, and what is published of it is its average in half precision, with text encoder and log."""
import json
import shutil

import numpy as np
import pytest
import tiny_runs
import wan_small

from configs.pretrain import tiny, tiny_wan
from tqd_jax.config import Config
from tqd_jax.models.assets import ASSETS
from tqd_jax.models.io.files import open_tensors
from tqd_jax.models.io.places import config_beside
from tqd_jax.models.io.wan import load_params, read_config
from tqd_jax.models.wan.model import abstract_params
from tqd_jax.shipped.publish import publish
from tqd_jax.shipped.start import write_start
from transfer_jax.runtime.config import flatten, instance, to_json
from transfer_jax.runtime.errors import UserError
from transfer_jax.runtime.tensors import named_leaves


@pytest.fixture(scope='module')
def given(tmp_path_factory, compiled):
    """{'wan.path', 'wan.vae'} of a random start and a narrow VAE."""
    folder = tmp_path_factory.mktemp('given')
    wan_small.write_vae(folder, 'diffusers')
    return {'wan.path': write_start(folder / 'start'), 'wan.vae': folder / 'vae'}


@pytest.fixture(scope='module')
def pretrained(given, tmp_path_factory):
    return tiny_runs.run('tiny_wan', tmp_path_factory.mktemp('pretrained'), **given)


def test_pretraining_gives_the_same_bits_twice(given, pretrained, tmp_path):
    one, other = (tiny_runs.saved('tiny_wan', folder, **given) for folder in (pretrained, tiny_runs.run('tiny_wan', tmp_path, **given)))
    assert one.keys() == other.keys() and not [name for name in one if one[name].tobytes() != other[name].tobytes()]


def test_the_average_is_published_in_half_precision(given, pretrained, tmp_path):
    vae = tmp_path / 'tiny_wan/vae/model.safetensors'
    vae.parent.mkdir(parents=True)
    vae.write_bytes(b'a VAE')
    for _ in range(2):
        publish(pretrained, 'tiny_wan', tmp_path)
    folder = tmp_path / 'tiny_wan'
    tensors = open_tensors(folder / 'transformer')
    model = read_config(tensors, config_beside(folder / 'transformer'))
    average = {name.removeprefix('average/'): array for name, array in tiny_runs.saved('tiny_wan', pretrained, **given).items()
               if name.startswith('average/')}
    written = {name: np.asarray(leaf) for name, leaf in named_leaves(load_params(tensors, model, abstract_params(model))).items()}
    assert {str(tensor.dtype) for tensor in tensors.values()} == {'float16'} and average.keys() == written.keys()
    for name, array in average.items():
        np.testing.assert_array_equal(written[name], array.astype(np.float16).astype(np.float32), err_msg=name)
    assert vae.read_bytes() == b'a VAE'
    for part in ('text_encoder/model.safetensors', 'tokenizer/tokenizer.json'):
        assert (folder / part).read_bytes() == (given['wan.path'] / part).read_bytes()
    assert json.loads((folder / 'pretrain.json').read_text())['train']['optimizer'] == 'muon'
    assert len((folder / 'pretrain.jsonl').read_text().splitlines()) >= 3


def test_an_unfinished_run_is_not_published(pretrained, tmp_path):
    run = shutil.copytree(pretrained, tmp_path / 'run')
    summary = json.loads((run / 'summary.json').read_text())
    (run / 'summary.json').write_text(json.dumps({**summary, 'steps': 1}))
    with pytest.raises(UserError, match='at step 1 of 3: finish its training'):
        publish(run, 'tiny_wan', tmp_path)
    assert not (tmp_path / 'tiny_wan').exists()


@pytest.mark.parametrize(('config', 'file'), [(tiny, 'tiny.json'), (tiny_wan, 'tiny_wan/pretrain.json')])
def test_shipped_weights_are_of_their_config(config, file):
    """By every key that there was when they were trained."""
    stored = flatten(json.loads((ASSETS / file).read_text()), {})
    now = flatten(json.loads(json.dumps(to_json(instance(Config, config.get_config())))), {})
    assert len(stored) > 50 and {key: now.get(key) for key in stored} == stored
