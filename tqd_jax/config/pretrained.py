"""The keys of the main job that are about published weights: config.wan and config.lora."""
import dataclasses

from transfer_jax.runtime.config import Rule, boolean, choice, integer, key, number, optional, paths

STORAGE = ('float32', 'bfloat16', 'int8', 'float8_e4m3fn')  # of parameters that training does not change
FLOATS = ('float32', 'bfloat16')
PUBLISHED = ('wan_1_3b', 'wan_14b', 'wan_ti2v_5b', 'wan_a14b')  # of tqd_jax.models.wan.config.PRESETS
TARGETS = ('attention', 'cross', 'ffn')  # parts of a block


def targets():
    """The rule of lora.targets: a tuple of parts of a block, or a regular expression."""
    def accepts(value):
        if isinstance(value, str):
            return value != ''
        return isinstance(value, tuple | list) and len(value) > 0 and all(part in TARGETS for part in value)
    return Rule(allowed=f'a tuple of {", ".join(TARGETS)}, or a regular expression', accepts=accepts)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Pretrained:
    """Published weights of Wan 2.1 or 2.2, which the user has downloaded: the model, its VAE and its text encoder."""
    path: str | None = key(None, optional(paths()), 'a folder of diffusers or Wan-AI, a file of the transformer, or '
                           "'asset:NAME' of the package; None: config.model on pixels", free=True)
    vae: str | None = key(None, optional(paths()), 'file or folder of the VAE; None: the one in wan.path', free=True)
    text_encoder: str | None = key(None, optional(paths()), 'file or folder of UMT5; None: the one in wan.path', free=True)
    tokenizer: str | None = key(None, optional(paths()), 'spiece.model or tokenizer.json, or their folder; None: '
                                'the one in wan.path, or inside the text encoder\'s file', free=True)
    sizes: str | None = key(None, optional(choice(*PUBLISHED)), 'the published model that the config is for: what '
                            'tqd_jax.plan takes where wan.path names no files; nothing else reads it', free=True)
    expert: str | None = key(None, optional(choice('high', 'low')), 'of a model with two experts: the one that '
                             'is trained, on its own part of t')
    storage: str = key('bfloat16', choice(*STORAGE), 'of the kernels that training does not change, and of the other expert that samples '
                      'are drawn with')
    vae_dtype: str = key('float32', choice(*FLOATS), 'of the VAE\'s products')
    vae_chunk: int | None = key(1, optional(integer(at_least=1)), 'latent frames that the VAE computes at a time, None: all; memory '
                                'against speed, the result is the same but for rounding', free=True)
    vae_tile: int | None = key(None, optional(integer(at_least=64)), 'side in pixels of tiles that the VAE '
                               'computes one by one, approximately; None: whole frames')
    text_dtype: str = key('bfloat16', choice(*FLOATS), 'of the text encoder\'s products, and of its features on disk')
    text_by_layer: bool = key(False, boolean(), 'the text encoder is read and applied layer by layer: for '
                              'devices with less memory than its 11 GB', free=True)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Lora:
    """Low-rank adapters (LoRA), with `config.train.trained = "lora"`: y = x W + alpha / rank x A B, of which A and B are trained."""
    rank: int = key(32, integer(at_least=1), 'inner width of A B')
    alpha: float = key(32.0, number(above=0), 'alpha / rank scales A B')
    targets: tuple | str = key(TARGETS, targets(), 'the products of a block that have '
                               'adapters: parts of it, or a regular expression of names such as attention/q')
    dropout: float = key(0.0, number(at_least=0, below=1), 'share of the adapters\' inputs that is dropped')
    init_from: str | None = key(None, optional(paths()), 'a LoRA file to go on from, of any tool; None: A is '
                                'drawn, B is zero')
