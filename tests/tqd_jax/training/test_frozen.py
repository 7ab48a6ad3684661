"""Partial training: what is frozen stays to the last bit, and neither optimizer, average nor checkpoint holds it."""
import dataclasses

import jax
import numpy as np
import pytest
import small

from tqd_jax.models.partition import merge, partition, selects
from tqd_jax.training.loop import train
from tqd_jax.training.programs import compile_train
from tqd_jax.training.run import build
from tqd_jax.training.state import LAYOUT, require_layout
from tqd_jax.training.weights import averaged_weights, fresh_state, frozen_parameters
from transfer_jax.runtime.errors import UserError
from transfer_jax.runtime.saves.checkpoint import Checkpoints
from transfer_jax.runtime.tensors import named_leaves

CHANGES = {'train.steps': 2, 'eval.every': 2, 'checkpoint.every': 1, 'train.trained': 'patch_out/.*'}
is_trained = selects(CHANGES['train.trained'])


@pytest.fixture(scope='module')
def run(library, tmp_path_factory, compiled):
    """A Run that trains the last layer alone."""
    workdir, changes = tmp_path_factory.mktemp('runs') / 'frozen', {'data.clips': library, **CHANGES}
    small.run(workdir, 'score', **changes)
    with small.one_device():
        return build(small.config(**changes), workdir)


def test_what_is_frozen_does_not_change_by_one_bit(run):
    before = jax.tree.map(np.asarray, merge(fresh_state(run).trained, frozen_parameters(run)['model']))
    state, frozen, _ = train(run)
    after = named_leaves(averaged_weights(state, frozen))
    changed = {name for name, leaf in named_leaves(before).items() if not np.array_equal(leaf, after[name])}
    assert changed == {'patch_out/kernel', 'patch_out/bias'} and after.keys() == named_leaves(before).keys()


def test_no_frozen_leaf_is_in_optimizer_average_or_checkpoint(run):
    names = set(named_leaves(run.abstract_state))
    assert {name.rsplit('patch_out/')[-1] for name in names if 'patch_out' in name} == {'kernel', 'bias'}
    assert not [name for name in names if any(part in name for part in ('blocks', 'embed', 'patch_in', 'time_', 'text_', 'modulation'))]
    trained, frozen = partition(merge(run.abstract_state.trained, run.abstract_frozen['model']), is_trained)
    assert set(trained) == {'patch_out'} and 'blocks' in frozen
    train(run)
    checkpoints = Checkpoints(run.workdir / 'checkpoints')
    saved = checkpoints.restore(2, run.abstract_state)
    assert set(named_leaves(saved)) == names


def test_frozen_parameters_are_an_argument_of_the_step(run):
    """Another frozen part in the same program has another loss."""
    program, = compile_train(run).values()
    batch = run.loader(0, np.resize(run.training, run.loader.batch))
    frozen = frozen_parameters(run)

    def loss(frozen):
        state = fresh_state(run)
        awake = jax.tree.map(lambda x: x + 0.1, state.trained)  # the last layer starts at 0
        return float(program(dataclasses.replace(state, trained=awake), frozen, batch)[1]['loss'])

    assert loss(frozen) != loss(jax.tree.map(lambda x: 2 * x, frozen))


def test_a_checkpoint_of_another_layout_is_named_as_one(tmp_path):
    require_layout(tmp_path, {'layout': LAYOUT})
    for extras in ({'next_batch': 4}, {'layout': LAYOUT - 1}):
        with pytest.raises(UserError, match='checkpoints of an earlier version of tqd_jax, whose state has another layout') as error:
            require_layout(tmp_path, extras)
        assert '\n' not in str(error.value)
