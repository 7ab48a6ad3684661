"""Wan's autoencoder against diffusers' module in PyTorch: time at the published widths, error of bfloat16, and memory of a long clip.

    python -m benchmarks.vae
    python -m benchmarks.vae --frames 17 --height 240 --width 416 --rounds 3

Weights are random, of Wan 2.1's sizes. Both libraries have two threads. Needs the extra [parity].
"""
import argparse
import os
import subprocess
import sys
import time

import numpy as np

from benchmarks.memory import peak

LONG = (480, 832)  # rows and columns of the clip whose memory is measured
LENGTHS = (5, 9)  # its frames


def clip(frames, height, width):
    """Random uint8 frames of one clip."""
    return np.random.default_rng(0).integers(0, 256, (1, frames, height, width, 3), np.uint8)


def reference():
    """diffusers' module of Wan 2.1, all weights at random, and they by name."""
    import torch
    from diffusers import AutoencoderKLWan

    torch.manual_seed(0)
    module = AutoencoderKLWan().eval()
    return module, {name: weight.detach().numpy() for name, weight in module.named_parameters()}


def torch_functions(module, video):
    """(encode, decode) without arguments, to normalised latents and from them to pixels, channels last."""
    import torch

    from tqd_jax.latents.wan_vae.config import WAN_2_1

    x = torch.from_numpy(video).float().div(127.5).sub(1).permute(0, 4, 1, 2, 3).contiguous()
    mean, std = (torch.tensor(values).view(1, -1, 1, 1, 1) for values in (WAN_2_1.mean, WAN_2_1.std))
    with torch.no_grad():
        z = module.encode(x).latent_dist.mode()
    encode = lambda: (module.encode(x).latent_dist.mode() - mean) / std
    return torch.no_grad()(encode), torch.no_grad()(lambda: module.decode(z).sample), ((z - mean) / std).permute(0, 2, 3, 4, 1).numpy()


def jax_functions(arrays, video, latents, dtype):
    """(encode, decode) without arguments."""
    import jax

    from tqd_jax.latents.wan_vae.codec import WanCodec
    from tqd_jax.latents.wan_vae.config import WAN_2_1
    from tqd_jax.latents.wan_vae.weights import params_from

    codec = WanCodec(WAN_2_1, dtype)
    params = jax.device_put(params_from(arrays, WAN_2_1, dtype=dtype))
    programs = [jax.jit(function).lower(params, x).compile() for function, x in ((codec.encode, video), (codec.decode, latents))]
    return [lambda program=program, x=x: np.asarray(program(params, x)) for program, x in zip(programs, (video, latents), strict=True)]


def speed(video, rounds):
    """{name: seconds of every round}, and lines of the errors of both dtypes, after a check that both compute the same."""
    from benchmarks.timing import interleaved

    module, arrays = reference()
    encode, decode, latents = torch_functions(module, video)
    steps = {'PyTorch encode': encode, 'PyTorch decode': decode}
    exact = jax_functions(arrays, video, latents, 'float32')
    rough = jax_functions(arrays, video, latents, 'bfloat16')
    outputs = {'float32': [f() for f in exact], 'bfloat16': [f() for f in rough]}
    np.testing.assert_allclose(outputs['float32'][0], latents, atol=1e-3)
    steps |= dict(zip(('JAX encode', 'JAX decode'), exact, strict=True))
    return interleaved(steps, rounds), [*errors(*outputs.values())]


def errors(exact, rough):
    """Lines of a table: bfloat16 relative to float32."""
    norm = lambda x: np.linalg.norm(x.astype(np.float64))
    difference, most = np.abs(rough[0] - exact[0]), np.abs(exact[0]).max()
    yield f'| latents | {norm(difference) / norm(exact[0]):.2e} | {difference.max():.3f} of {most:.1f} |'
    difference = np.abs(rough[1].astype(int) - exact[1].astype(int))
    yield f'| frames | {norm(difference) / norm(exact[1] - 127.5):.2e} | {difference.max()} of 255, {difference.mean():.2f} on average |'


def measure_memory(frames, part):
    """Prints the peak memory in MB of one encode or decode with chunk 1, and its seconds; for a process of its own."""
    import jax

    from tqd_jax.latents.wan_vae.codec import WanCodec
    from tqd_jax.latents.wan_vae.config import WAN_2_1
    from tqd_jax.latents.wan_vae.params import abstract_params

    codec = WanCodec(WAN_2_1)
    params = {part: jax.tree.map(lambda leaf: np.full(leaf.shape, 0.01, leaf.dtype), abstract_params(WAN_2_1, (part,))[part])}
    x = clip(frames, *LONG) if part == 'encoder' else np.zeros((1, *codec.latent_shape(frames, *LONG)), np.float32)
    program = jax.jit(codec.encode if part == 'encoder' else codec.decode).lower(params, x).compile()
    start = time.perf_counter()
    jax.block_until_ready(program(params, x))
    print(peak(), time.perf_counter() - start)


def memory_rows(lengths, parts):
    """Lines of a table, each measured in a process of its own."""
    for part in parts:
        for frames in lengths:
            command = [sys.executable, '-m', 'benchmarks.vae', '--memory-of', part, '--frames', str(frames)]
            text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
            megabytes, seconds = map(float, text.split())
            yield f'| {part} | {frames} x {LONG[0]} x {LONG[1]} | {megabytes / 1000:.2f} | {seconds:.0f} |'


def main():
    """Times, measures and writes the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, size in zip(('frames', 'height', 'width'), (9, 128, 192), strict=True):
        parser.add_argument(f'--{name}', type=int, default=size)
    parser.add_argument('--rounds', type=int, default=2)
    parser.add_argument('--memory-of', choices=['encoder', 'decoder'], help='measure the memory of this half alone, and print it')
    parser.add_argument('--lengths', type=int, nargs='+', default=LENGTHS, help='frames of the clips whose memory is measured')
    parser.add_argument('--parts', nargs='+', choices=['encoder', 'decoder'], default=['encoder'], help='halves whose memory is measured')
    args = parser.parse_args()
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:2])  # both libraries take as many threads as there are cores
    if args.memory_of:
        measure_memory(args.frames, args.memory_of)
        return
    import diffusers
    import torch

    from benchmarks.timing import ratio_of_medians, write_page

    video = clip(args.frames, args.height, args.width)
    seconds, error_rows = speed(video, args.rounds)
    rows = []
    for name in ('encode', 'decode'):
        ratio, low, high = ratio_of_medians(seconds, f'PyTorch {name}', f'JAX {name}')
        ours, theirs = (np.median(seconds[f'{library} {name}']) for library in ('JAX', 'PyTorch'))
        rows.append(f'| {name} | {ours:.2f} | {theirs:.2f} | {ratio:.2f} ({low:.2f} to {high:.2f}) |')
    write_page('vae', "Wan's autoencoder", [
        f'torch {torch.__version__}, diffusers {diffusers.__version__}; Wan 2.1 with random weights, chunk 1, two threads each.', '',
        f'{args.frames} x {args.height} x {args.width}, float32, {args.rounds} interleaved rounds in one process. '
        'Aim: PyTorch takes at least as long.', '',
        '| | JAX s | PyTorch s | PyTorch / JAX (10th to 90th percentile) |', '|---|---|---|---|', *rows, '',
        'bfloat16 relative to float32, with the same random weights:', '',
        '| | relative error (l2) | largest difference |', '|---|---|---|', *error_rows, '',
        'Peak memory of a process that does nothing else, float32, chunk 1. From the second chunk on (9 frames) the program is the same, '
        'and only the frames are more, 1.2 MB each at this size. Aim: at most 6 GB for 81 frames, 0.09 GB more than for 9.', '',
        '| half | clip | peak GB | s |', '|---|---|---|---|', *memory_rows(args.lengths, args.parts)])


if __name__ == '__main__':
    main()
