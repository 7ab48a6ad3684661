"""Peak memory of UMT5: two of its 24 blocks against transformers, and all 24 one at a time from a file of 11 GB.

    python -m benchmarks.wan.umt5_memory

Every number is that of a process of its own, which reads the weights from a file in bfloat16. Needs the extra [parity].
"""
import argparse
import dataclasses
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time

import jax
import ml_dtypes
import numpy as np

from benchmarks.memory import peak
from benchmarks.timing import write_page
from benchmarks.wan.umt5 import CONFIG, ENCODERS, make_arrays, make_tokens
from tqd_jax.models.io.files import open_tensors
from tqd_jax.text.umt5.config import XXL
from tqd_jax.text.umt5.layerwise import encode_layers

JOBS = ('JAX', 'transformers', 'blocks')


def write_file(path, config):
    """A .safetensors file of random weights in bfloat16, all blocks alike; written array by array, so that memory suffices."""
    one = {name: array.astype(ml_dtypes.bfloat16) for name, array in make_arrays(dataclasses.replace(CONFIG, layers=1)).items()}
    blocks = [(name.replace('block.0', f'block.{number}'), array) for number in range(config.layers)
              for name, array in one.items() if 'block.0' in name]
    table = one['shared.weight']
    parts = [table[:config.vocab - start] for start in range(0, config.vocab, len(table))]
    norm = 'encoder.final_layer_norm.weight'
    shapes = [*((name, array.shape) for name, array in blocks), (norm, (config.width,)), ('shared.weight', (config.vocab, config.width))]
    header, end = {}, 0
    for name, shape in shapes:
        start, end = end, end + 2 * int(np.prod(shape))
        header[name] = {'dtype': 'BF16', 'shape': list(shape), 'data_offsets': [start, end]}
    text = json.dumps(header).encode()
    with open(path, 'wb') as file:
        file.write(len(text).to_bytes(8, 'little') + text)
        for array in [*(array for _, array in blocks), one[norm], *parts]:
            file.write(array.view(np.uint16).tobytes())


def run_job(name, path):
    """Encodes eight captions of 100 tokens, in 512 rows, and prints seconds and the peak memory in GB of this process."""
    tokens, start = make_tokens(8, 100, 512), time.perf_counter()
    if name == 'blocks':
        features = encode_layers(open_tensors(path), XXL, tokens, dtype='bfloat16')
    else:
        features = ENCODERS[name](read(name, path), 'bfloat16')(tokens)
    if not np.isfinite(np.asarray(features if name != 'transformers' else features.float())).all():
        raise AssertionError('features are not finite')
    print(time.perf_counter() - start, peak() / 1000)


def read(name, path):
    """The arrays of the file: ours, read when used; or PyTorch's."""
    if name == 'JAX':
        return open_tensors(path)
    from safetensors.torch import load_file

    return load_file(path)


def measure(name, path):
    """A line of the table."""
    command = [sys.executable, '-m', 'benchmarks.wan.umt5_memory', '--job', name, '--path', path]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    seconds, memory = map(float, done.stdout.split()[-2:])
    what, config = ('JAX, one block at a time', XXL) if name == 'blocks' else (name, CONFIG)
    line = [what, f'{config.layers}', f'{os.path.getsize(path) / 1e9:.1f}', f'{seconds:.0f}', f'{memory:.1f}']
    print(line, flush=True)
    return f'| {" | ".join(line)} |'


def main():
    """Runs the processes and writes the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, meaning in {'job': 'run one job here', 'path': 'its file'}.items():
        parser.add_argument(f'--{name}', help=f'{meaning}; for the processes that this one starts')
    args = parser.parse_args()
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:2])
    jax.config.update('jax_platforms', 'cpu')
    if args.job:
        return run_job(args.job, args.path)
    lines = []
    for config, names in ((CONFIG, JOBS[:2]), (XXL, JOBS[2:])):
        with tempfile.TemporaryDirectory() as folder:
            write_file(path := pathlib.Path(folder) / 'umt5.safetensors', config)
            lines += [measure(name, str(path)) for name in names]
    write_page('umt5_memory', 'Peak memory of UMT5', [
        'Eight captions of 100 tokens in 512 rows, bfloat16, on a CPU with two threads; seconds of reading, compiling and encoding.', '',
        '| what | blocks | file, GB | seconds | peak, GB |', '|---|---|---|---|---|', *lines])


if __name__ == '__main__':
    main()
