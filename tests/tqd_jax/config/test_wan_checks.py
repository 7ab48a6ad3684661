"""Keys of published weights that contradict others are refused, by name."""
import pytest

from configs import video
from tqd_jax.config import Config, check_whole
from tqd_jax.config.wan_defaults import wan_defaults
from transfer_jax.runtime.config import instance, override
from transfer_jax.runtime.errors import UserError

WAN = instance(Config, wan_defaults())
BARE = {'wan.path': None, 'model.preset': 'tiny'}  # a demo without weights


@pytest.mark.parametrize(('config', 'changes', 'keys'), [
    (Config(), {'train.trained': 'lora', 'lora.init_from': 'a.safetensors'}, r'config\.lora\.init_from.*config\.wan\.path'),
    (WAN, {'wan.path': 'folder', 'train.trained': 'full', 'wan.storage': 'int8'}, r'config\.wan\.storage.*config\.train\.trained'),
    (WAN, {'wan.path': 'folder', 'data.cache_gb': 8.0, 'model.vocab': 9},
     r'config\.data\.cache_gb .*config\.model\.vocab .*: leave them out \(on pixels: --config=configs/pixels\.py\)$'),
    (WAN, {'wan.path': 'folder', 'train.weight_decay': 0.1}, r'config\.train\.weight_decay.*kernels alone'),
    (WAN, {'wan.path': 'folder', 'train.optimizer': 'muon'}, r'config\.train\.optimizer.*kernels alone'),
    (WAN, {'wan.path': 'folder', 'data.dropout': 'weight'}, r'config\.data\.dropout.*config\.train\.batch = 1'),
])
def test_keys_that_would_be_ignored_are_refused(config, changes, keys):
    with pytest.raises(UserError, match=keys):
        check_whole(override(config, changes))


@pytest.mark.parametrize('changes', [
    {'wan.path': None}, BARE, {**BARE, 'wan.storage': 'bfloat16'}, {**BARE, 'wan.storage': 'bfloat16', 'wan.vae_chunk': 1},
    {'model.preset': 'tiny'}, {'model.text_len': 16}, {'data.cache_gb': 8.0}, {'init_from': 'asset:tiny.npz'},
    {'train.path': 'vp'}, {'train.prediction': 'noise'}, {'train.precondition': (0.0, 1.0)}])
def test_a_key_of_pixels_on_the_demos_road_names_the_config_that_takes_it(changes):
    demo = instance(Config, video.get_config())
    with pytest.raises(UserError, match=r'\(on pixels: --config=configs/pixels\.py\)$'):
        check_whole(override(demo, changes))


@pytest.mark.parametrize('changes', [{'wan.storage': 'float32'}, {'wan.storage': 'bfloat16'},
                                     {'wan.storage': 'int8', 'wan.expert': 'low'}])  # of the other expert
def test_full_training_takes_the_storage_that_it_reads(changes):
    check_whole(override(WAN, {'wan.path': 'folder', 'train.trained': 'full', **changes}))
