"""UMT5 against transformers' UMT5EncoderModel and T5Tokenizer, and cleaning against diffusers' Wan pipeline."""
import importlib.util

import jax
import numpy as np
import pytest
from umt5_small import CAPTIONS, train_spiece

from tqd_jax.text.umt5.clean import clean
from tqd_jax.text.umt5.config import distance_buckets
from tqd_jax.text.umt5.model import encode
from tqd_jax.text.umt5.tokenizer import pack, read_tokenizer
from tqd_jax.text.umt5.weights import config_from, params_from

# the reference's own imports use what its dependencies have deprecated; nothing of ours is silenced
pytestmark = [pytest.mark.parity, pytest.mark.filterwarnings('ignore')]
torch = pytest.importorskip('torch')
transformers = pytest.importorskip('transformers')

@pytest.fixture(scope='module')
def module():
    """A tiny encoder, all its weights at random, of which the bias tables and norms count."""
    torch.manual_seed(0)
    config = transformers.UMT5Config(vocab_size=64, d_model=32, d_kv=8, d_ff=37, num_layers=3, num_heads=4, feed_forward_proj='gated-gelu')
    module = transformers.UMT5EncoderModel(config).eval()
    with torch.no_grad():
        for weight in module.parameters():
            weight.copy_(0.5 * torch.randn_like(weight) + 0.3)
    return module


def arrays(module, dtype):
    return {name: weight.detach().numpy().astype(dtype) for name, weight in module.state_dict().items()}


def with_exact_norms(module):
    """The reference takes the mean of squares in float32 even of float64."""
    for part in module.modules():
        if type(part).__name__ == 'UMT5LayerNorm':
            part.forward = lambda x, part=part: part.weight * x * (x.pow(2).mean(-1, keepdim=True) + part.variance_epsilon).rsqrt()
    return module


def inputs(length):
    """Tokens [3, length] that end at different places."""
    tokens = np.random.default_rng(0).integers(2, 64, (3, length)).astype(np.int32)
    for row, end in zip(tokens, (length, max(1, length // 2), 1), strict=True):
        row[end - 1], row[end:] = 1, 0
    return tokens


@pytest.mark.parametrize('length', [5, 512])
@pytest.mark.parametrize('dtype, bound', [('float64', 1e-10), ('float32', 1e-4)])
def test_features_agree(module, length, dtype, bound):
    tokens, mask = inputs(length), inputs(length) > 0
    with torch.no_grad():
        reference = with_exact_norms(module.to(getattr(torch, dtype)))
        theirs = reference(torch.from_numpy(tokens).long(), torch.from_numpy(mask).long()).last_hidden_state.numpy()
    with jax.enable_x64(dtype == 'float64'):
        tensors = arrays(reference, dtype)
        config = config_from(tensors)
        ours = np.asarray(jax.jit(encode, static_argnums=(2, 3))(params_from(tensors, config, dtype), tokens, config, dtype))
    assert ours.dtype == dtype and np.abs(theirs[mask]).max() > 1
    np.testing.assert_allclose(ours[mask], theirs[mask], atol=bound, rtol=0)
    assert not ours[~mask].any()


def test_buckets_are_those_of_the_reference(module):
    attention = module.encoder.block[0].layer[0].SelfAttention
    distances = torch.arange(-600, 601)
    config = config_from(arrays(module, 'float32'))
    np.testing.assert_array_equal(distance_buckets(config, 601), attention._relative_position_bucket(distances).numpy())


@pytest.mark.parametrize('rule', ['identity', 'nmt_nfkc'])
def test_tokens_are_those_of_the_reference(tmp_path, rule):
    texts = [prompt_clean(text) for text in CAPTIONS]
    (tmp_path / 'spiece.model').write_bytes(train_spiece(texts * 9, normalization_rule_name=rule))
    theirs = transformers.T5Tokenizer.from_pretrained(tmp_path, extra_ids=0)
    expected = theirs(texts, padding='max_length', max_length=24, truncation=True, return_tensors='np')
    ours = pack(read_tokenizer(tmp_path).ids([clean(text) for text in CAPTIONS]), 24)
    np.testing.assert_array_equal(ours, expected.input_ids)
    np.testing.assert_array_equal(ours > 0, expected.attention_mask)
    assert len(np.unique(ours)) > 60


def test_cleaning_is_that_of_the_pipeline():
    assert [clean(text) for text in CAPTIONS] == [prompt_clean(text) for text in CAPTIONS]
    assert clean(CAPTIONS[5]) == 'the café <is> open' and clean(CAPTIONS[6]) == "schön und d'accord"


def prompt_clean(text):
    assert importlib.util.find_spec('ftfy')  # without it, diffusers skips the repair
    from diffusers.pipelines.wan.pipeline_wan import prompt_clean

    return prompt_clean(text)
