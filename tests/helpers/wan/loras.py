"""LoRA files of a tiny Wan, written by hand in every published layout, and the matrices that ours mean."""
import numpy as np

from tqd_jax.models.wan.config import WanConfig

CONFIG = WanConfig(layers=3, heads=2, head_dim=12, ffn_dim=40, text_dim=8, text_len=4, in_channels=4, out_channels=4)
NAMES = {  # ours: the original's, diffusers', kohya's
    'attention/q': ('self_attn.q', 'attn1.to_q', 'self_attn_q'), 'attention/k': ('self_attn.k', 'attn1.to_k', 'self_attn_k'),
    'attention/v': ('self_attn.v', 'attn1.to_v', 'self_attn_v'), 'attention/out': ('self_attn.o', 'attn1.to_out.0', 'self_attn_o'),
    'cross/q': ('cross_attn.q', 'attn2.to_q', 'cross_attn_q'), 'cross/k': ('cross_attn.k', 'attn2.to_k', 'cross_attn_k'),
    'cross/v': ('cross_attn.v', 'attn2.to_v', 'cross_attn_v'), 'cross/out': ('cross_attn.o', 'attn2.to_out.0', 'cross_attn_o'),
    'up': ('ffn.0', 'ffn.net.0.proj', 'ffn_0'), 'down': ('ffn.2', 'ffn.net.2', 'ffn_2'),
}
AB, DOWN_UP = ('lora_A.weight', 'lora_B.weight'), ('lora_down.weight', 'lora_up.weight')
LAYOUTS = {  # the module's name without its leaf, column of NAMES, leaves, kind
    'diffusers': ('transformer.blocks.{}.{}', 1, AB, 'A'),
    'one diffusers model': ('blocks.{}.{}', 1, AB, 'A'),
    'comfyui': ('diffusion_model.blocks.{}.{}', 0, AB, 'B'),
    'comfyui, down and up': ('diffusion_model.blocks.{}.{}', 0, DOWN_UP, 'B'),
    'kohya': ('lora_unet_blocks_{}_{}', 2, DOWN_UP, 'C'),
    'kohya of a Fun model': ('lora_unet__blocks_{}_{}', 2, DOWN_UP, 'C'),
    'diffsynth': ('blocks.{}.{}', 0, ('lora_A.default.weight', 'lora_B.default.weight'), 'D'),
    'diffsynth, a pipeline': ('pipe.dit.blocks.{}.{}', 0, ('lora_A.default.weight', 'lora_B.default.weight'), 'D'),
    'peft': ('base_model.model.blocks.{}.{}', 0, AB, 'E'),
    'peft of a diffusers model': ('base_model.model.transformer.blocks.{}.{}', 1, AB, 'E'),
}
ZERO, ONE = np.zeros((4, 24), 'f'), np.ones((4, 24), 'f')


def sizes(target):
    return {'up': (24, 40), 'down': (40, 24)}.get(target, (24, 24))


def published(rank=4, targets=tuple(NAMES), blocks=range(3), seed=0):
    """{(block, target): (A [r, in], B [out, r])} at random; rank may be a function of (block, target)."""
    rng, pairs = np.random.default_rng(seed), {}
    for block in blocks:
        for target in targets:
            (inputs, outputs), own = sizes(target), rank(block, target) if callable(rank) else rank
            pairs[block, target] = rng.normal(size=(own, inputs)).astype('f'), rng.normal(size=(outputs, own)).astype('f')
    return pairs


def in_layout(layout, pairs, alphas=None):
    """Tensors by the layout's names, with `.alpha` scalars where alphas are given."""
    stem, column, (down, up), _ = LAYOUTS[layout]
    tensors = {}
    for (block, target), (a, b) in pairs.items():
        name = stem.format(block, NAMES[target][column])
        tensors |= {f'{name}.{down}': a, f'{name}.{up}': b}
        if alphas:
            tensors[f'{name}.alpha'] = np.array(alphas[block, target], 'f')
    return tensors


def to_published_order(target, delta):
    """delta [out, in] of ours with self-attention's q and k rows as pairs (2j, 2j + 1) again."""
    if target not in ('attention/q', 'attention/k'):
        return delta
    return delta.reshape(CONFIG.heads, 2, CONFIG.head_dim // 2, -1).swapaxes(1, 2).reshape(delta.shape)


def deltas(lora):
    """{(block, target): (alpha / rank) B A [out, in], float64} of our tree, in the published order."""
    found = {}
    for target in lora.targets:
        node = lora.tree['blocks']
        for part in target.split('/'):
            node = node[part]
        assert node['lora_a'].dtype == node['lora_b'].dtype == np.float32
        for block in range(CONFIG.layers):
            a, b = node['lora_a'][block].astype('d'), node['lora_b'][block].astype('d')
            found[block, target] = to_published_order(target, lora.alpha / lora.rank * (a @ b).T)
    return found


def assert_same(lora, pairs, scales=1.0):
    """Every module of the file has its matrix; every other module of the tree is zero."""
    ours = deltas(lora)
    for place, delta in ours.items():
        if place in pairs:
            a, b = (part.astype('d') for part in pairs[place])
            np.testing.assert_allclose(delta, (scales[place] if isinstance(scales, dict) else scales) * b @ a, rtol=1e-6, atol=1e-6)
        else:
            assert not delta.any()
    assert set(pairs) <= set(ours)
