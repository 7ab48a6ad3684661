"""Parameters before the first step, from the weights that config.init_from names or from the seed, and after the last one."""
import functools
import json
import pathlib

import jax

from tqd_jax.diffusion.objective import init_frozen
from tqd_jax.models.partition import merge, partition
from tqd_jax.models.publish import ASSETS
from tqd_jax.models.wan import model as wan
from tqd_jax.training.state import init_state, shardings_of
from transfer_jax.runtime.config import to_json
from transfer_jax.runtime.errors import UserError
from transfer_jax.runtime.keys import stream_key
from transfer_jax.runtime.tensors import load_weights


def fresh_state(run):
    """The TrainState at step 0, sharded from birth."""
    shardings = shardings_of(run.abstract_state)
    start = functools.partial(init_state, optimizer=run.optimizer)
    if run.config.init_from is None:
        return jax.jit(lambda: start(_drawn_parameters(run)[0]), out_shardings=shardings)()
    trained = jax.device_put(_loaded_parameters(run)[0], shardings.trained)
    return jax.jit(start, out_shardings=shardings)(trained)


def frozen_parameters(run):
    """The tree of init_frozen, sharded: no checkpoint has it, so it is made anew at every start."""
    shardings = shardings_of(run.abstract_frozen)
    if not jax.tree.leaves(shardings):
        return run.abstract_frozen  # a tree without leaves
    if run.config.init_from is None:
        return jax.jit(lambda: init_frozen(run.objective, _drawn_parameters(run)[1]), out_shardings=shardings)()
    return jax.device_put(init_frozen(run.objective, _loaded_parameters(run)[1]), shardings)


def averaged_weights(state, frozen):
    """All parameters of the model: the moving average of the trained ones, and the frozen ones."""
    return merge(state.average, frozen['model'])


def _drawn_parameters(run):
    return partition(wan.init_params(run.model, stream_key(run.config.seed, 'init')), run.is_trained)


def _loaded_parameters(run):
    return partition(load_weights(weights_path(run.config.init_from), wan.abstract_params(run.model)), run.is_trained)


def weights_path(name):
    """The file that config.init_from names. Raises UserError where there is none."""
    path = ASSETS / name.removeprefix('asset:') if name.startswith('asset:') else pathlib.Path(name).expanduser()
    if not path.is_file():
        raise UserError(f'config.init_from = {name!r}: there is no such file; None starts from scratch')
    return path


def check_weights(name, model, train):
    """Raises UserError where the weights that config.init_from names do not fit the WanConfig, or config.train says that they predict
    something else than the config beside them does."""
    path = weights_path(name)
    load_weights(path, wan.abstract_params(model))
    beside = next((file for file in (path.with_suffix('.json'), path.with_name('config.json')) if file.exists()), None)
    theirs = json.loads(beside.read_text()).get('train', {}) if beside else {}
    ours = to_json(train)
    for key in ('path', 'prediction', 'precondition'):
        if theirs.get(key, ours[key]) != ours[key]:
            raise UserError(f'config.train.{key} = {ours[key]!r}, but {path} was trained with {theirs[key]!r} ({beside}): '
                            f'use that, other weights, or config.init_from=None')
