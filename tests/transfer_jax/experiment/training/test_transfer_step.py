"""One step of a fit is Adam's on the penalised weighted loss; inputs are scaled and cropped as they say."""
import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import optax

from transfer_jax.experiment.data.domains import Domain
from transfer_jax.experiment.training import prepare, step
from transfer_jax.experiment.training.prepare import Scaling

# --- one step

def regression(seed, count=6):
    rng = np.random.default_rng(seed)
    return [rng.normal(size=shape).astype(np.float32) for shape in ((count, 8, 3), (count, 8), (count, 8), (3, 1))]


def run_steps(inputs, labels, weight, start, *, total=20.0, last=6, prior=3.0):
    params = {'kernel': jnp.asarray(start)}
    state = step.first_state(params)
    for x, y, w in zip(inputs, labels, weight, strict=True):
        batch = {'inputs': jnp.asarray(x), 'labels': jnp.asarray(y), 'weight': jnp.asarray(w), 'rows': jnp.arange(len(y))}
        state, value = one_step(state, batch, params, jnp.float32(total), jnp.int32(last), prior)
    return state, value


@jax.jit
def one_step(state, batch, start, total, steps, prior):
    return step.train_step(state, batch, start, jnp.uint32(0), apply=lambda params, x: x @ params['kernel'], loss=step.squared_loss,
                           prepare=lambda x, keys: x, total=total, steps=steps, learning_rate=0.1, prior=prior)


def test_a_step_is_adams_on_the_penalised_weighted_loss():
    inputs, labels, weight, start = regression(0)
    state, value = run_steps(inputs, labels, weight, start)
    adam = optax.adam(optax.cosine_decay_schedule(0.1, 6))
    theta, moments = jnp.asarray(start), adam.init(jnp.asarray(start))
    for x, y, w in zip(inputs, labels, weight, strict=True):
        rest = x @ np.asarray(theta) - y[:, None]
        loss = np.mean(w * rest[:, 0] ** 2 / 2) + 3 / 40 * np.sum((np.asarray(theta) - start) ** 2)
        gradient = x.T @ (w[:, None] * rest) / 8 + 3 / 20 * (np.asarray(theta) - start)
        with jax.numpy_dtype_promotion('standard'):  # optax counts in int32 and decays in float32
            update, moments = adam.update(jnp.asarray(gradient, jnp.float32), moments)
        theta = theta + update
    np.testing.assert_allclose(state.trained['kernel'], theta, rtol=2e-5)
    np.testing.assert_allclose(value, loss, rtol=2e-5)
    assert not np.allclose(theta, start, atol=0.1)


def test_a_replica_past_its_steps_stays_bit_for_bit():
    parts = regression(1)
    there, _ = run_steps(*[part[:4] for part in parts[:3]], parts[3], last=4)
    after, _ = run_steps(*parts, last=4)
    for old, new in zip(jax.tree.leaves(there), jax.tree.leaves(after), strict=True):
        np.testing.assert_array_equal(old, new)


def test_losses_by_hand():
    outputs, labels = jnp.asarray([[1.0, 2.0, 0.5], [0.0, 0.0, 3.0]]), jnp.asarray([1, 0])
    reference = [-np.log(np.exp(2) / np.exp([1, 2, 0.5]).sum()), -np.log(1 / (2 + np.exp(3)))]
    np.testing.assert_allclose(step.softmax_loss(outputs, labels), reference, rtol=1e-6)
    np.testing.assert_allclose(step.squared_loss(jnp.asarray([[3.0], [-1.0]]), jnp.asarray([1.0, 1.0])), [2, 2])


# --- prepare

def test_rows_are_divided_by_their_norm_and_columns_standardised():
    x = jnp.asarray([[3.0, -4.0], [0.0, 0.0]])
    scaling = Scaling(mean=jnp.asarray([0.1, 0.0]), scale=jnp.asarray([1.0, 2.0]), rows='none')
    np.testing.assert_allclose(prepare.normalise(x, scaling), [[2.9, -2], [-0.1, 0]], rtol=1e-6)
    np.testing.assert_allclose(prepare.normalise(x, scaling.replace(rows='l1')), [[3 / 7 - 0.1, -2 / 7], [-0.1, 0]], rtol=1e-6)
    np.testing.assert_allclose(prepare.normalise(x, scaling.replace(rows='l2')), [[0.5, -0.4], [-0.1, 0]], rtol=1e-6)


def test_images_count_from_0_to_1_and_are_scaled_by_channel():
    images = np.random.default_rng(0).integers(0, 256, (5, 4, 4, 3), np.uint8)
    domain = Domain(name='images', inputs=images, labels=np.zeros(5, np.int32))
    scaling = prepare.fit_scaling([domain], rows='none', columns='standard', mean=(0.1, 0.2, 0.3), std=(1.0, 2.0, 4.0))
    out = prepare.normalise(jnp.asarray(images), scaling)
    np.testing.assert_allclose(out, (images / 255 - [0.1, 0.2, 0.3]) / [1, 2, 4], atol=1e-6)
    assert out.dtype == jnp.float32
    grey = prepare.fit_scaling([domain], rows='none', columns='none', mean=(0.5,), std=(0.25,))
    np.testing.assert_allclose(prepare.normalise(jnp.asarray(images), grey), (images / 255 - 0.5) * 4, atol=1e-6)


def test_columns_are_standardised_over_sources_that_count_alike():
    rng = np.random.default_rng(0)
    sources = [Domain(name=str(n), inputs=(rng.normal(size=(n, 4)) * [1, 2, 3, 0] + n).astype(np.float32), labels=np.zeros(n, np.int32))
               for n in (30, 300)]
    scaling = prepare.fit_scaling(sources, rows='none', columns='standard', mean=(0.0,), std=(1.0,))
    weight = np.concatenate([np.full(n, 1 / (2 * n)) for n in (30, 300)])
    everything = np.concatenate([source.inputs for source in sources])
    centre = weight @ everything
    np.testing.assert_allclose(scaling.mean, centre, rtol=1e-5)
    np.testing.assert_allclose(scaling.scale, np.sqrt(weight @ (everything - centre) ** 2), rtol=1e-5)
    constant = [dataclasses.replace(source, inputs=np.ones((len(source), 4), np.float32)) for source in sources]
    assert (np.asarray(prepare.fit_scaling(constant, rows='none', columns='standard', mean=(0.0,), std=(1.0,)).scale) == 1).all()


def test_a_crop_only_shifts_and_is_a_function_of_its_key():
    images = jnp.asarray(np.random.default_rng(0).normal(size=(40, 8, 8, 2)), jnp.float32)
    keys = jax.random.split(jax.random.key(0), 40)
    out, again = (np.asarray(prepare.augment(images, keys, 'crop')) for _ in range(2))
    flips = np.asarray(prepare.augment(images, keys, 'crop_flip'))
    np.testing.assert_array_equal(out, again)
    assert out.shape == images.shape
    matches, mirror = set(), 0
    for image, shift, maybe in zip(np.asarray(images), out, flips, strict=True):
        wide = np.pad(image, ((1, 1), (1, 1), (0, 0)), mode='edge')
        shifts = [(i, j) for i in range(3) for j in range(3) if np.array_equal(wide[i:i + 8, j:j + 8], shift)]
        assert len(shifts) == 1
        matches.add(shifts[0])
        assert np.array_equal(maybe, shift) or np.array_equal(maybe, shift[:, ::-1])
        mirror += not np.array_equal(maybe, shift)
    assert len(matches) == 9 and 8 < mirror < 32
