"""Parameters before the first step, from the run's foundation or from the seed, and after the last one."""
import functools

import jax

from tqd_jax.models.partition import is_adapter, merge, partition, select
from tqd_jax.models.wan import model as wan
from tqd_jax.training.state import init_state, shardings_of
from transfer_jax.runtime.keys import stream_key


def fresh_state(run):
    """The TrainState at step 0, sharded from birth."""
    shardings = shardings_of(run.abstract_state)
    start = functools.partial(init_state, optimizer=run.optimizer)
    trained = start_parameters(run, run.abstract_state.trained)
    return jax.jit(start, out_shardings=shardings, donate_argnums=0)(trained)


def frozen_parameters(run):
    """The tree {'model', 'codec', 'text'} of what no step changes, sharded: no checkpoint has it, so it is made anew at every start."""
    abstract = run.abstract_frozen
    if not jax.tree.leaves(abstract):
        return abstract  # a tree without leaves
    conditions = jax.device_put(run.foundation.conditions(run.workdir), shardings_of({key: abstract[key] for key in ('codec', 'text')}))
    return {'model': start_parameters(run, abstract['model']), **conditions}


def start_parameters(run, abstract):
    """The part of the model's parameters at step 0 that `abstract` has, sharded.

    Those of the foundation and adapters to go on from where there are any, the others drawn from the seed.
    """
    adapters, base = partition(abstract, is_adapter)
    parts = [(base, run.foundation.parameters), (adapters, run.foundation.adapters)]
    return functools.reduce(merge, [_loaded_or_drawn(run, part, load) for part, load in parts if part], {})


def _loaded_or_drawn(run, abstract, load):
    loaded = load(abstract)
    if loaded is not None:
        return jax.device_put(loaded, shardings_of(abstract))
    draw = lambda: select(abstract, wan.init_params(run.model, stream_key(run.config.seed, 'init')))
    return jax.jit(draw, out_shardings=shardings_of(abstract))()


def averaged_weights(state, frozen):
    """All parameters of the model: the moving average of the trained ones, and the frozen ones."""
    return merge(state.average, frozen['model'])
