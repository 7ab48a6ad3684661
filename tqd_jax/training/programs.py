"""The programs of a run, compiled ahead of time: one training step and one evaluation for every bucket of frame sizes."""
import functools
import time

import jax
import jax.numpy as jnp
import numpy as np

from tqd_jax.timesteps.law import make_law
from tqd_jax.training.step import eval_step, train_step
from transfer_jax.runtime.parallel.mesh import batch_sharding, replicated, to_global


def abstract_batch(run, bucket):
    """Shapes, dtypes and shardings of a batch of one bucket."""
    size = run.config.train.batch
    sharding = batch_sharding(run.mesh)
    leaf = lambda dtype, *shape: jax.ShapeDtypeStruct((size, *shape), dtype, sharding=sharding)
    law = jax.tree.map(lambda x: leaf(jnp.float32, *x.shape[1:]), make_law(1))
    return {'frames': leaf(jnp.uint8, bucket.frames, bucket.height, bucket.width, 3), 'tokens': leaf(jnp.int32, run.model.text_len),
            'example': leaf(jnp.uint32), 'clip': leaf(jnp.int32), 'weight': leaf(jnp.float32), 'law': law}


def compile_train(run):
    """{bucket: executable}: compiled ahead of time, so that a second compilation cannot happen and memory is known before step 0."""
    step = functools.partial(train_step, run.objective, run.optimizer, run.config.train.accumulate, run.config.train.ema)
    outputs = (jax.tree.map(lambda leaf: leaf.sharding, run.abstract_state), replicated(run.mesh))
    jitted = jax.jit(step, donate_argnums=0, out_shardings=outputs)
    programs = {}
    for number in np.unique(run.library.bucket):
        bucket, started = run.library.buckets[number], time.perf_counter()
        programs[number] = jitted.lower(run.abstract_state, abstract_batch(run, bucket)).compile()
        memory = programs[number].memory_analysis()
        need = memory.argument_size_in_bytes + memory.temp_size_in_bytes + memory.output_size_in_bytes - memory.alias_size_in_bytes
        print(f'compiled {bucket.width}x{bucket.height}x{bucket.frames} in {time.perf_counter() - started:.1f} s: '
              f'needs {need / 2**20:.0f} MiB a device', flush=True)
    return programs


def compile_eval(run):
    """evaluate(bucket, params, arrays, t) -> loss [B], compiled ahead of time for every bucket of the validation clips."""
    jitted = jax.jit(functools.partial(eval_step, run.objective), out_shardings=replicated(run.mesh))
    t = jax.ShapeDtypeStruct((run.config.train.batch,), jnp.float32, sharding=batch_sharding(run.mesh))
    buckets = np.unique(run.library.bucket[run.validation])
    compiled = {b: jitted.lower(run.abstract_state.params, abstract_batch(run, run.library.buckets[b]), t).compile() for b in buckets}

    def evaluate(bucket, params, arrays, t):
        arrays, t = to_global((arrays, t), run.mesh)
        return compiled[bucket](params, arrays, t)

    return evaluate
