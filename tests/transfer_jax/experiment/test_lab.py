"""All programs of a lab (training, measurement, evaluation) take frozen parameters and data as arguments."""
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import transfer_small as small

from transfer_jax.experiment.methods.registry import METHODS

LIMIT = 4096  # bytes; the frozen layers take 18 kB, the labels of 1610 examples 6 kB


@pytest.fixture
def few_constants():
    """JAX warns of programs that captured more constants than a limit, and a warning is an error here."""
    before = jax.config.jax_captured_constants_warn_bytes
    jax.config.update('jax_captured_constants_warn_bytes', LIMIT)
    yield
    jax.config.update('jax_captured_constants_warn_bytes', before)


def test_the_limit_is_noticed(few_constants):
    layer = jnp.ones(LIMIT)
    with pytest.raises(UserWarning, match='constants were captured'):
        jax.jit(lambda x: x * layer)(layer)


@pytest.mark.parametrize('resident', [True, False])
def test_frozen_parameters_and_data_are_arguments_of_every_program(resident, few_constants, tmp_path):
    domains = small.blobs(sizes=(500, 510, 600))
    trainer = small.trainer(domains, kind='mlp', hidden=(64, 64), trainable='head', resident=resident)
    assert sum(leaf.nbytes for leaf in jax.tree.leaves(trainer.frozen)) > 4 * LIMIT
    lab = small.lab(tmp_path, domains, trainer=trainer, seeds=2, min_steps=10, epochs=0.1)
    for name in ('uowq', 'wadn', 'mcw') if resident else ('target_only',):
        assert np.isfinite(METHODS[name](lab).outputs).all()
