"""One training step of the transformer against the same step of diffusers' module in PyTorch: same weights, shapes and optimizer.

    python -m benchmarks.step_vs_torch
    python -m benchmarks.step_vs_torch --preset wan_1_3b --device gpu --rounds 5 --peak 989

A step is forward, backward, clipping by the global norm and AdamW. On a CPU both have two threads. Needs the extra [parity]. PyTorch's
compiled step is timed where torch finds a compiler.
"""
import argparse
import dataclasses
import os

import jax
import jax.numpy as jnp
import numpy as np
import optax

from benchmarks.timing import interleaved, ratio_of_medians, write_page
from tqd_jax.models.io.wan import load_params
from tqd_jax.models.wan.config import PRESETS, flops_per_example
from tqd_jax.models.wan.model import abstract_params, apply

CASES = {'tiny': (16, (8, 32, 32)), 'medium': (2, (8, 32, 32)), 'wan_1_3b': (1, (21, 60, 104))}  # batch, (frames, height, width)
LEARNING_RATE, DECAY, CLIP = 1e-4, 0.01, 1.0


def make_module(config):
    """diffusers' module of a config."""
    import torch
    from diffusers import WanTransformer3DModel

    torch.manual_seed(0)
    return WanTransformer3DModel(
        patch_size=config.patch, num_attention_heads=config.heads, attention_head_dim=config.head_dim, in_channels=config.in_channels,
        out_channels=config.out_channels, text_dim=config.text_dim, freq_dim=config.freq_dim, ffn_dim=config.ffn_dim,
        num_layers=config.layers, eps=config.eps)


def make_inputs(config, batch, video):
    """x, t, text and the target, at random."""
    rng = np.random.default_rng(0)
    normal = lambda *shape: rng.standard_normal((batch, *shape), dtype=np.float32)
    target = normal(*video, config.out_channels)
    return normal(*video, config.in_channels), rng.random(batch, dtype=np.float32), normal(config.text_len, config.text_dim), target


def jax_step(config, params, inputs):
    """A function without arguments that takes one step and returns the loss."""
    predict, (x, t, text, target) = apply(config), jax.device_put(inputs)
    optimizer = optax.chain(optax.clip_by_global_norm(CLIP), optax.adamw(LEARNING_RATE, weight_decay=DECAY))

    def step(params, state):
        loss, grads = jax.value_and_grad(lambda params: jnp.mean(jnp.square(predict(params, {}, x, t, text) - target)))(params)
        updates, state = optimizer.update(grads, state, params)
        return optax.apply_updates(params, updates), state, loss

    params = jax.device_put(params)
    state = [params, optimizer.init(params)]
    program = jax.jit(step, donate_argnums=(0, 1)).lower(*state).compile()

    def run():
        *state[:], loss = program(*state)
        return float(loss)

    return run


def torch_step(config, module, inputs, device, compiled):
    """The same in PyTorch; products in bfloat16 under autocast, and blocks recomputed, where the config says so."""
    import torch

    module.to(device)
    if config.remat != 'none':
        module.enable_gradient_checkpointing()
    forward = torch.compile(module) if compiled else module
    x, t, text, target = (torch.from_numpy(a).to(device) for a in inputs)
    x, target = x.permute(0, 4, 1, 2, 3).contiguous(), target.permute(0, 4, 1, 2, 3).contiguous()
    optimizer = torch.optim.AdamW(module.parameters(), lr=LEARNING_RATE, weight_decay=DECAY, fused=True)

    def run():
        optimizer.zero_grad()
        with torch.autocast(device, torch.bfloat16, enabled=config.dtype == 'bfloat16'):
            out = forward(x, 1000 * t, text, return_dict=False)[0]
        loss = (out.float() - target).square().mean()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(module.parameters(), CLIP)
        optimizer.step()
        return loss.item()

    return run


def measure(preset, rounds, device):
    """{name: seconds of every round} of one preset, after a check that all begin with the same loss; and the FLOPs of a step."""
    batch, video = CASES[preset]
    config = dataclasses.replace(PRESETS[preset], vocab=None)
    inputs, module = make_inputs(config, batch, video), make_module(config)
    weights = {name: weight.detach().numpy() for name, weight in module.named_parameters()}
    params = load_params(weights, config, abstract_params(config))
    steps = {'JAX': jax_step(config, params, inputs), 'PyTorch': torch_step(config, module, inputs, device, False)}
    first = {name: step() for name, step in steps.items()}
    if not np.allclose(first['JAX'], first['PyTorch'], rtol=1e-3 if config.dtype == 'float32' else 3e-2):
        raise AssertionError(f'the two do not compute the same: first losses {first}')
    compiled = torch_step(config, module, inputs, device, True)
    try:
        compiled()
        steps['PyTorch, compiled'] = compiled
    except RuntimeError as error:  # torch raises it, with its kind in the text, where there is no compiler
        print(f'torch.compile does not work here: {error}'.splitlines()[0])
    return interleaved(steps, rounds), 3 * batch * flops_per_example(config, video)


def rows(preset, seconds, flops, peak):
    """Lines of the table, one for each step that was timed."""
    batch, video = CASES[preset]
    for name, times in seconds.items():
        ratio, low, high = ratio_of_medians(seconds, name, 'JAX')
        speed = flops / np.median(times) / 1e12
        share = f' ({speed / peak:.0%} of {peak:g})' if peak else ''
        yield (f'| {preset} | {batch} x {"x".join(map(str, video))} | {name} | {1e3 * np.median(times):.0f} | {1e3 * np.min(times):.0f} '
               f'| {ratio:.2f} ({low:.2f} to {high:.2f}) | {speed:.3g}{share} |')


def main():
    """Times the presets and writes the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--preset', choices=CASES, nargs='+', default=['tiny', 'medium'])
    parser.add_argument('--rounds', type=int, default=15)
    parser.add_argument('--device', choices=['cpu', 'gpu'], default='cpu')
    parser.add_argument('--peak', type=float, help="the device's dense peak in TFLOP/s, to report the share of")
    args = parser.parse_args()
    if args.device == 'cpu':
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:2])  # both libraries take as many threads as there are cores
    device = {'cpu': 'cpu', 'gpu': 'cuda'}[args.device]  # both libraries' name of it
    jax.config.update('jax_platforms', device)
    os.environ.setdefault('XLA_PYTHON_CLIENT_PREALLOCATE', 'false')  # the two share the device's memory
    import diffusers
    import torch

    results = {preset: measure(preset, args.rounds, device) for preset in args.preset}
    write_page('step_vs_torch', 'A training step against PyTorch', [
        f'torch {torch.__version__}, diffusers {diffusers.__version__}; {args.rounds} interleaved rounds in one process, on a CPU with two '
        'threads each.', 'TFLOP/s are those of the matrix products, forward and backward, recomputation not counted.',
        'Aim: on a CPU, PyTorch takes 1.5 times as long.', '',
        '| preset | batch | step | median ms | minimum ms | times JAX (10th to 90th percentile) | TFLOP/s |',
        '|---|---|---|---|---|---|---|',
        *(row for preset, (seconds, flops) in results.items() for row in rows(preset, seconds, flops, args.peak))])


if __name__ == '__main__':
    main()
