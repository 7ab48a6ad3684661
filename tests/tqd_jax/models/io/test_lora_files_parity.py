"""LoRA files against diffusers and peft: what we write acts there as its matrices do, and what they write we read."""
import functools
import json
import operator

import jax
import numpy as np
import pytest
import safetensors
from loras import CONFIG, NAMES, assert_same, in_layout, published
from safetensors.numpy import load_file

from tqd_jax.models.io.lora import lora_modules, read_lora
from tqd_jax.models.io.lora_write import write_lora
from tqd_jax.models.io.wan import load_params
from tqd_jax.models.wan.model import abstract_params

torch = pytest.importorskip('torch')
pytest.importorskip('diffusers')
pytest.importorskip('peft')

# the reference's own imports use what its dependencies have deprecated; nothing of ours is silenced
pytestmark = [pytest.mark.parity, pytest.mark.filterwarnings('ignore')]

CASES = [('comfyui', 'all'), ('comfyui', 'some'), ('diffusers', 'all'), ('diffusers', 'some'), ('kohya', 'all')]
SOME = ('attention/q', 'attention/out', 'cross/k', 'down')


@pytest.fixture(autouse=True)
def offline(monkeypatch):
    monkeypatch.setenv('HF_HUB_OFFLINE', '1')


def reference():
    """diffusers' module of CONFIG, all its weights moved away from where they start."""
    from diffusers import WanTransformer3DModel

    torch.manual_seed(0)
    module = WanTransformer3DModel(
        num_attention_heads=CONFIG.heads, attention_head_dim=CONFIG.head_dim, in_channels=CONFIG.in_channels, num_layers=CONFIG.layers,
        out_channels=CONFIG.out_channels, text_dim=CONFIG.text_dim, freq_dim=CONFIG.freq_dim, ffn_dim=CONFIG.ffn_dim, cross_attn_norm=True,
        qk_norm='rms_norm_across_heads', rope_max_seq_len=32)
    with torch.no_grad():
        for weight in module.parameters():
            weight.add_(0.1 * torch.randn_like(weight))
    return module.eval()


def run(module):
    """The module's output of one fixed input."""
    rng = np.random.default_rng(1)
    x, text = (torch.from_numpy(rng.normal(size=shape).astype('f')) for shape in ((2, 4, 3, 6, 4), (2, 4, 8)))
    with torch.no_grad():
        return module(x, torch.tensor([300.0, 800.0]), text, return_dict=False)[0].numpy()


def merge(module, pairs, scale):
    """The module with scale * B A added to its weights."""
    with torch.no_grad():
        for (block, target), (a, b) in pairs.items():
            module.get_submodule(f'blocks.{block}.{NAMES[target][1]}').weight.add_(torch.from_numpy(scale * b @ a))
    return module


def load(module, path):
    """The module with a LoRA file, loaded as WanPipeline.load_lora_weights does."""
    from diffusers.loaders import WanLoraLoaderMixin

    state, metadata = WanLoraLoaderMixin.lora_state_dict(path.parent, weight_name=path.name, return_lora_metadata=True)
    WanLoraLoaderMixin.load_lora_into_transformer(state, transformer=module, metadata=metadata)
    return module


def relative(ours, theirs):
    return np.linalg.norm(ours - theirs) / np.linalg.norm(theirs)


@pytest.mark.parametrize('kind, targets', CASES)
def test_what_we_write_acts_in_diffusers_as_its_matrices_do(tmp_path, kind, targets):
    pairs = published(targets={'all': tuple(NAMES), 'some': SOME}[targets])
    lora = read_lora(in_layout('diffsynth', pairs), CONFIG)
    path = write_lora(tmp_path / 'x.safetensors', lora.tree, rank=4, alpha=1.5, config=CONFIG, kind=kind)
    expected = run(merge(reference(), pairs, 1.5 / 4))
    assert relative(run(load(reference(), path)), expected) < 1e-5
    assert relative(run(reference()), expected) > 0.1  # the LoRA matters


def test_our_kernels_with_a_lora_are_the_merged_ones():
    pairs = published()
    lora = read_lora(in_layout('comfyui', pairs, dict.fromkeys(pairs, 1.5)), CONFIG)
    placed = jax.tree.map(lambda leaf: leaf.update(sharding=jax.sharding.SingleDeviceSharding(jax.devices()[0])), abstract_params(CONFIG))
    base, merged = (load_params({name: weight.detach().numpy() for name, weight in module.named_parameters()}, CONFIG, placed)['blocks']
                    for module in (reference(), merge(reference(), pairs, 1.5 / 4)))
    for target, (a, b) in lora_modules(lora.tree).items():
        ours, theirs = (functools.reduce(operator.getitem, target.split('/'), tree)['kernel'] for tree in (base, merged))
        np.testing.assert_allclose(ours + lora.alpha / lora.rank * a @ b, theirs, atol=1e-5)


def saved_by_peft(folder, config, *, by_pipeline):
    """A LoRA of random weights that diffusers saves: (module with the LoRA, path of the file)."""
    from diffusers import WanPipeline
    from peft.utils import get_peft_model_state_dict

    module = reference()
    module.add_adapter(config)
    with torch.no_grad():
        for name, weight in module.named_parameters():
            if 'lora_' in name:
                weight.copy_(torch.randn_like(weight))
    if by_pipeline:
        WanPipeline.save_lora_weights(folder, transformer_lora_layers=get_peft_model_state_dict(module),
                                      transformer_lora_adapter_metadata=module.peft_config['default'].to_dict())
    else:
        module.save_lora_adapter(folder)
    return module, folder / 'pytorch_lora_weights.safetensors'


def differences(module):
    """{(block, target): the weight that merging the LoRA adds [out, in]} as peft computes it."""
    found = {}
    for block in range(CONFIG.layers):
        for target, names in NAMES.items():
            layer = module.get_submodule(f'blocks.{block}.{names[1]}')
            if hasattr(layer, 'lora_A'):
                found[block, target] = layer.get_delta_weight('default').detach().numpy()
    return found


SAVED = {
    'one alpha': dict(r=4, lora_alpha=6, target_modules=['to_q', 'to_k', 'to_v', 'to_out.0', 'ffn.net.0.proj', 'ffn.net.2']),
    'some modules, rank-stabilised': dict(r=4, lora_alpha=6, target_modules=['to_q', 'ffn.net.2'], use_rslora=True),
    'patterns': dict(r=4, lora_alpha=6, target_modules=['to_q', 'to_k', 'net.2'], rank_pattern={'attn1.to_q': 6, '^blocks.1.attn2.to_k': 2},
                     alpha_pattern={'attn1.to_q': 12, 'to_k': 1}),
}


@pytest.mark.parametrize('by_pipeline', [True, False])
@pytest.mark.parametrize('case', SAVED)
def test_what_diffusers_saves_has_the_same_matrices_here(tmp_path, case, by_pipeline):
    from peft import LoraConfig

    module, path = saved_by_peft(tmp_path, LoraConfig(**SAVED[case]), by_pipeline=by_pipeline)
    expected = differences(module)
    with safetensors.safe_open(path, 'numpy') as file:
        lora = read_lora(load_file(path), CONFIG, metadata=file.metadata())
    assert lora.kind == 'A' and lora.has_alpha and lora.modules == len(expected)
    assert_same(lora, {place: (np.eye(len(delta.T), dtype='f'), delta) for place, delta in expected.items()})


def test_what_peft_saves_has_the_same_matrices_here(tmp_path):
    from peft import LoraConfig, get_peft_model

    model = get_peft_model(reference(), LoraConfig(r=4, lora_alpha=6, target_modules=['to_q', 'ffn.net.2'], init_lora_weights=False))
    model.save_pretrained(tmp_path)
    settings = json.loads((tmp_path / 'adapter_config.json').read_text())
    lora = read_lora(load_file(tmp_path / 'adapter_model.safetensors'), CONFIG, adapter_config=settings)
    expected = differences(model.base_model.model)
    assert (lora.kind, lora.alpha, lora.modules, len(expected)) == ('E', 6.0, 9, 9)
    assert_same(lora, {place: (np.eye(len(delta.T), dtype='f'), delta) for place, delta in expected.items()})
