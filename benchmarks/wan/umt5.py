"""UMT5 against transformers' UMT5EncoderModel: same weights and captions, at the published width with two of its 24 blocks.

    python -m benchmarks.wan.umt5

Both have two threads and run in one process in turn. Needs the extra [parity].
"""
import argparse
import dataclasses
import functools
import os

import jax
import numpy as np

from benchmarks.timing import interleaved, ratio_of_medians, write_page
from tqd_jax.text.umt5.config import XXL
from tqd_jax.text.umt5.layerwise import crop
from tqd_jax.text.umt5.model import encode, unstack
from tqd_jax.text.umt5.names import find_layout
from tqd_jax.text.umt5.weights import params_from

CONFIG = dataclasses.replace(XXL, layers=2, vocab=8192)  # a look-up takes no time at any size of the table
CASES = [(1, 64, 64), (1, 256, 256), (1, 100, 512)]  # captions, tokens of each, rows of features
FIRST = 'encoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight'


def make_arrays(config):
    """{transformers' name: float32 array} at random, scores of order 1."""
    rng, layout, c = np.random.default_rng(0), find_layout([FIRST]), config
    shapes = {'attention/bias': (c.buckets, c.heads), 'attention/out/kernel': (c.width, c.inner), 'attention_norm/scale': (c.width,),
              'ffn_norm/scale': (c.width,), 'gate/kernel': (c.ffn, c.width), 'up/kernel': (c.ffn, c.width), 'down/kernel': (c.width, c.ffn)}
    shapes |= {f'attention/{name}/kernel': (c.inner, c.width) for name in 'qkv'}
    names = {layout.leaf(number, path): shape for number in range(c.layers) for path, shape in shapes.items()}
    names |= {'shared.weight': (c.vocab, c.width), layout.final_norm(): (c.width,)}
    scale = lambda name, shape: shape[1] ** -0.5 * (0.125 if '.q.' in name else 1) if len(shape) == 2 and name != 'shared.weight' else 1
    return {name: rng.standard_normal(shape, np.float32) * np.float32(scale(name, shape)) for name, shape in names.items()}


def make_tokens(batch, length, rows):
    """int32 [batch, rows]: captions of `length` tokens, the end included."""
    tokens = np.random.default_rng(1).integers(4, CONFIG.vocab, (batch, rows)).astype(np.int32)
    tokens[:, length - 1], tokens[:, length:] = 1, 0
    return tokens


def jax_encoder(arrays, dtype):
    """A function of tokens -> features as transformers pads them, by ours; columns that are all padding are cut before and put back."""
    params = jax.device_put(unstack(params_from(arrays, CONFIG, dtype)))
    program = jax.jit(encode, static_argnums=(2, 3))

    def run(tokens):
        features = np.asarray(program(params, crop(tokens), CONFIG, dtype))
        return np.pad(features, ((0, 0), (0, tokens.shape[1] - features.shape[1]), (0, 0)))

    return run


def torch_encoder(arrays, dtype):
    """The same by transformers, as diffusers calls it: with the mask, at the full length, and zeros from the end of a caption on."""
    import torch
    from transformers import UMT5Config, UMT5EncoderModel

    c = CONFIG
    config = UMT5Config(vocab_size=c.vocab, d_model=c.width, d_kv=c.head_dim, d_ff=c.ffn, num_layers=c.layers, num_heads=c.heads,
                        feed_forward_proj='gated-gelu')
    with torch.device('meta'):
        module = UMT5EncoderModel(config)
    weights = {name: torch.as_tensor(array).to(getattr(torch, dtype)) for name, array in arrays.items()}
    weights['encoder.embed_tokens.weight'] = weights['shared.weight']
    module.load_state_dict(weights, assign=True)
    module.eval()

    @torch.inference_mode()
    def run(tokens):
        mask = torch.from_numpy(tokens > 0)
        return module(torch.from_numpy(tokens).long(), mask.long()).last_hidden_state * mask[..., None]

    return run


ENCODERS = {'JAX': jax_encoder, 'transformers': torch_encoder}


def features_of(name, run, tokens):
    """float32 features of an encoder, as NumPy."""
    features = run(tokens)
    return (features if name == 'JAX' else features.float().numpy()).astype(np.float32)


def compare(dtype, rounds):
    """Lines of the table of one dtype, after a check that both give the same features."""
    arrays = make_arrays(CONFIG)
    encoders = {name: make(arrays, dtype) for name, make in ENCODERS.items()}
    for batch, length, rows in CASES:
        tokens = make_tokens(batch, length, rows)
        ours, theirs = (features_of(name, run, tokens) for name, run in encoders.items())
        error = np.linalg.norm(ours - theirs) / np.linalg.norm(theirs)
        if error > {'float32': 1e-4, 'bfloat16': 0.03}[dtype]:
            raise AssertionError(f'the two do not compute the same: relative difference {error:g}')
        seconds = interleaved({name: functools.partial(run, tokens) for name, run in encoders.items()}, rounds)
        ratio, low, high = ratio_of_medians(seconds, 'transformers', 'JAX')
        medians = [f'{1e3 * np.median(seconds[name]):.0f}' for name in ENCODERS]
        line = [dtype, f'{batch} x {length} of {rows}', *medians, f'{ratio:.2f} ({low:.2f} to {high:.2f})', f'{error:.1e}']
        print(line, flush=True)
        yield f'| {" | ".join(line)} |'


def main():
    """Times the cases and writes the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--rounds', type=int, default=3)
    args = parser.parse_args()
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:2])  # both libraries take as many threads as there are cores
    jax.config.update('jax_platforms', 'cpu')
    import torch
    import transformers

    lines = [line for dtype in ('float32', 'bfloat16') for line in compare(dtype, args.rounds)]
    write_page('umt5', 'UMT5 against transformers', [
        f'torch {torch.__version__}, transformers {transformers.__version__}; {args.rounds} interleaved rounds in one process, on a CPU',
        f'with two threads each; width {CONFIG.width}, {CONFIG.heads} heads, {CONFIG.layers} of 24 blocks. transformers runs at all rows,',
        'as diffusers calls it; ours cuts columns that are all padding, and has its blocks unstacked.',
        'Aim: transformers takes at least as long.', '',
        '| dtype | captions x tokens of rows | JAX, ms | transformers, ms | times JAX (10th to 90th percentile) | relative difference |',
        '|---|---|---|---|---|---|', *lines])


if __name__ == '__main__':
    main()
