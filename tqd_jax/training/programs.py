"""The programs of a run, compiled ahead of time: one training step and one evaluation for every bucket of frame sizes."""
import functools
import time

import jax
import jax.numpy as jnp
import numpy as np

from tqd_jax.data.batch import batch_spec
from tqd_jax.models.partition import LORA
from tqd_jax.models.wan.config import training_flops_per_example
from tqd_jax.training.state import shardings_of
from tqd_jax.training.step import eval_step, train_step
from transfer_jax.runtime.parallel.compiled import compiled, memory_of_program
from transfer_jax.runtime.parallel.mesh import batch_sharding, check_batch, replicated, to_global
from transfer_jax.runtime.speed.rates import memory as memory_of

LESS_MEMORY = ('raise config.mesh.fsdp or config.mesh.context, take config.model.remat = "full", "attention" or "offload", more '
               'config.train.accumulate, or smaller clips')


def compile_train(run):
    """{number of the bucket: executable (state, frozen, batch) -> (state, metrics)}, the state's memory taken over.

    Compiled ahead of time, so that a second compilation cannot happen and memory is known before step 0.
    """
    return {number: _compiled(run, run.library.buckets[number]) for number in np.unique(run.library.bucket)}


def lower_train(run, bucket):
    """The training step of a Bucket, traced for the run's mesh and not compiled: a jax.stages.Lowered of (state, frozen, batch).

    run: a Run, or what has its config, mesh, foundation, objective, optimizer, abstract_state and abstract_frozen.
    """
    whole = functools.partial(jax.lax.with_sharding_constraint, shardings=replicated(run.mesh))
    step = functools.partial(train_step, run.objective, run.optimizer, run.config.train.accumulate, run.config.train.ema, whole=whole)
    outputs = (shardings_of(run.abstract_state), replicated(run.mesh))
    jitted = jax.jit(step, donate_argnums=0, out_shardings=outputs)
    return jitted.lower(run.abstract_state, run.abstract_frozen, _spec(run, bucket))


def _compiled(run, bucket):
    start = time.perf_counter()
    program = compiled(lower_train(run, bucket), f'a step on {bucket.width}x{bucket.height}x{bucket.frames}', LESS_MEMORY)
    needs = _needs(memory_of_program(program), memory_of(run.mesh.local_devices[0]))
    print(f'compiled {bucket.width}x{bucket.height}x{bucket.frames} in {time.perf_counter() - start:.1f} s{needs}', flush=True)
    return program


def _needs(sizes, there):
    """': needs ... MiB a device' of a program's sizes, '' where the platform does not say them. there: bytes of a device, or None."""
    if sizes is None:
        return ''
    need = sizes.argument_size_in_bytes + sizes.temp_size_in_bytes + sizes.output_size_in_bytes - sizes.alias_size_in_bytes
    return f': needs {need / 2**20:.0f}{"" if there is None else f" of {there / 2**20:.0f}"} MiB a device'


def flops_of_steps(run):
    """{number of the bucket: model FLOPs of a training step}: of the transformer, without what rematerialisation computes again."""
    trained, frozen = (_weights(tree) for tree in (run.abstract_state.trained, run.abstract_frozen['model']))
    share = trained / max(1, trained + frozen)
    shape = lambda bucket: run.objective.codec.latent_shape(bucket.frames, bucket.height, bucket.width)
    return {number: run.config.train.batch * training_flops_per_example(run.model, shape(run.library.buckets[number]), share)
            for number in np.unique(run.library.bucket)}


def _weights(tree):
    """How many numbers are in a tree's matrices, adapters left out."""
    return sum(leaf.size for path, leaf in jax.tree.leaves_with_path(tree) if leaf.ndim > 1 and path[-1].key not in LORA)


def _spec(run, bucket):
    objective = run.objective
    return batch_spec(run.config.train.batch, bucket, objective.codec, objective.text, batch_sharding(run.mesh), run.foundation.latents)


def compile_eval(run):
    """evaluate(bucket, (trained, frozen), batch, t) -> loss [B], compiled ahead of time for every bucket of the validation clips.

    Raises UserError where the batch does not divide over the devices, which may be others than those of the training, or where these have
    too little memory.
    """
    check_batch(run.config.train.batch, run.mesh)
    jitted = jax.jit(functools.partial(eval_step, run.objective), out_shardings=replicated(run.mesh))
    t = jax.ShapeDtypeStruct((run.config.train.batch,), jnp.float32, sharding=batch_sharding(run.mesh))
    weights = run.abstract_state.trained, run.abstract_frozen
    programs = {number: compiled(jitted.lower(*weights, _spec(run, bucket := run.library.buckets[number]), t),
                                 f'an evaluation on {bucket.width}x{bucket.height}x{bucket.frames}', LESS_MEMORY)
                for number in np.unique(run.library.bucket[run.validation])}

    def evaluate(bucket, weights, batch, t):
        return programs[bucket](*weights, *to_global((batch, t), run.mesh))

    return evaluate
