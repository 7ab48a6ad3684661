"""LoRA in the transformer: its targets, its product and its update by hand, its dropout, merging, and the storage of what is frozen."""
import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from tqd_jax.data.batch import uniform_batch
from tqd_jax.diffusion.objective import Objective, losses
from tqd_jax.diffusion.path import Path
from tqd_jax.latents.pixels import PixelCodec
from tqd_jax.models.partition import check_selects, everything, merge, partition, paths, selects
from tqd_jax.models.wan.config import PRESETS, WanConfig
from tqd_jax.models.wan.frozen import stored
from tqd_jax.models.wan.lora import MODULES, LoraConfig, drop, fold, merge_lora
from tqd_jax.models.wan.model import abstract_params, apply, init_params
from tqd_jax.text.words import HashedWords
from tqd_jax.training.state import init_state
from tqd_jax.training.step import train_step

LORA = LoraConfig(rank=3, alpha=6.0, targets=('attention', 'cross', 'ffn'))
CONFIG = WanConfig(layers=2, heads=2, head_dim=16, ffn_dim=48, freq_dim=16, text_dim=12, text_len=4, in_channels=3, out_channels=3,
                   patch=(2, 2, 4), vocab=9)
WITH = dataclasses.replace(CONFIG, lora=LORA)
init = jax.jit(init_params, static_argnums=0)


@functools.cache
def compiled(config):
    """The config's pure function of (trained, frozen, ...), compiled once for all tests."""
    return jax.jit(apply(config))


@pytest.fixture(scope='module')
def inputs():
    """(x, t, text) of two videos of 4 frames, 6 x 8."""
    rng = np.random.default_rng(0)
    return rng.standard_normal((2, 4, 6, 8, 3), np.float32), np.array([0.2, 0.9], 'f'), rng.integers(0, 9, (2, 4)).astype('int32')


def awake(config, seed=0):
    """Weights away from where they start, LoRA's B too."""
    rng = np.random.default_rng(seed)
    return jax.tree.map(lambda leaf: np.asarray(leaf) + 0.1 * rng.standard_normal(leaf.shape, np.float32), init(config, jax.random.key(0)))


@pytest.fixture(scope='module')
def params():
    """Weights of the model with LoRA everywhere."""
    return awake(WITH)


def linears(tree, above=()):
    """{name of a dense layer: its dict} of the blocks."""
    found = {}
    for name, value in tree.items():
        if isinstance(value, dict):
            found |= {'/'.join((*above, name)): value} if 'kernel' in value else linears(value, (*above, name))
    return found


def relative(a, b):
    return float(jnp.linalg.norm(a - b) / jnp.linalg.norm(b))


def objective_of(config):
    """An objective on pixels with hashed words."""
    return Objective(model=apply(config), codec=PixelCodec(), text=HashedWords(length=4, vocab=9), path=Path(), seed=0,
                     lora_dropout=config.lora.dropout if config.lora else 0.0)


@pytest.fixture(scope='module')
def batch():
    """Four clips of pixels."""
    rng = np.random.default_rng(1)
    return uniform_batch(rng.integers(0, 256, (4, 4, 6, 8, 3), dtype=np.uint8), rng.integers(0, 9, (4, 4)).astype('int32'))


@pytest.mark.parametrize(('targets', 'modules'), [
    (('attention', 'cross', 'ffn'), MODULES), (('ffn',), ('up', 'down')), (('cross', 'attention'), MODULES[:8]),
    ('attention/(q|v)', ('attention/q', 'attention/v')), ('.*/out|up', ('attention/out', 'cross/out', 'up'))])
def test_targets_name_layers_of_the_block(targets, modules):
    config = dataclasses.replace(CONFIG, lora=LoraConfig(rank=3, targets=targets))
    found = linears(abstract_params(config)['blocks'])
    assert config.lora.modules == modules and tuple(found) and set(found) == set(MODULES)
    assert {name for name, linear in found.items() if 'lora_a' in linear} == set(modules)
    for name in modules:
        layers, inputs, outputs = found[name]['kernel'].shape
        assert found[name]['lora_a'].shape == (layers, inputs, 3) and found[name]['lora_b'].shape == (layers, 3, outputs)
        assert found[name]['lora_a'].dtype == found[name]['lora_b'].dtype == jnp.float32


@pytest.mark.parametrize(('change', 'message'), [
    ({'targets': 'attention'}, "'attention/q'.*'down'"), ({'targets': '('}, 'no target'), ({'targets': ('attn',)}, r"\('attn',\).*'ffn'"),
    ({'targets': ()}, 'no target'), ({'rank': 0}, 'positive, got 0'), ({'alpha': 0}, 'got 32 and 0'), ({'dropout': 1.0}, '1.0')])
def test_a_lora_that_means_nothing_is_refused(change, message):
    with pytest.raises(ValueError, match=message):
        LoraConfig(**change)


def test_a_fresh_lora_changes_nothing_and_leaves_the_other_weights_as_they_are_drawn(inputs):
    with_lora, without = init(WITH, jax.random.key(3)), init(CONFIG, jax.random.key(3))
    jax.tree.map(np.testing.assert_array_equal, partition(with_lora, selects('lora'))[1], without)
    for linear in linears(with_lora['blocks']).values():
        bound = linear['kernel'].shape[1] ** -0.5
        assert 0.8 * bound < np.max(np.abs(linear['lora_a'])) <= bound and not np.any(linear['lora_b'])
    without['patch_out']['kernel'] = with_lora['patch_out']['kernel'] = np.ones_like(without['patch_out']['kernel'])
    np.testing.assert_array_equal(compiled(WITH)(with_lora, {}, *inputs), compiled(CONFIG)(without, {}, *inputs))


def test_the_model_with_lora_is_the_model_with_merged_kernels(params, inputs):
    config, merged = merge_lora(WITH, params)
    assert config == CONFIG and set(paths(merged)) == set(paths(abstract_params(CONFIG)))
    q = params['blocks']['attention']['q']
    np.testing.assert_allclose(merged['blocks']['attention']['q']['kernel'], q['kernel'] + 2 * q['lora_a'] @ q['lora_b'], rtol=1e-5,
                               atol=1e-6)
    out = compiled(WITH)(params, {}, *inputs)
    assert relative(compiled(CONFIG)(merged, {}, *inputs), out) < 1e-4
    assert relative(compiled(CONFIG)(partition(params, selects('lora'))[1], {}, *inputs), out) > 0.1
    on_device = merge_lora(WITH, jax.tree.map(jnp.asarray, params))[1]
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6), on_device, merged)


def test_merged_kernels_keep_a_float_dtype_and_leave_eight_bits(params):
    q, up = params['blocks']['attention']['q'], params['blocks']['up']
    eight = {**up, 'kernel': np.full(up['kernel'].shape, 3, np.int8), 'kernel_scale': np.full((2, 1, 48), 0.5, np.float32)}
    tree = {'q': {**q, 'kernel': q['kernel'].astype(jnp.bfloat16)}, 'up': eight}
    merged = merge_lora(WITH, tree)[1]
    assert merged['q']['kernel'].dtype == jnp.bfloat16 and set(merged['up']) == {'kernel', 'bias'}
    np.testing.assert_allclose(merged['up']['kernel'], 1.5 + 2 * up['lora_a'] @ up['lora_b'], rtol=1e-6)


def test_one_step_from_zero_is_the_projected_step_of_full_training(inputs):
    """dL/dB = s A' dL/dW at B = 0, so one step of size r changes W by -r s^2 A A' dL/dW."""
    rate, params = 100.0, init(WITH, jax.random.key(1))
    params['patch_out']['kernel'] = params['patch_out']['kernel'] + 0.1  # which starts at 0
    loss = lambda trained, frozen: jnp.mean(jnp.square(compiled(WITH)(trained, frozen, *inputs) - 1))
    trained, frozen = partition(params, selects('lora'))
    stepped = jax.tree.map(lambda p, g: p - rate * g, trained, jax.grad(loss)(trained, frozen))
    before, after = merge_lora(WITH, params)[1], merge_lora(WITH, merge(stepped, frozen))[1]
    full = linears(jax.grad(lambda whole: loss(whole, {}))(params)['blocks'])
    for name, linear in linears(params['blocks']).items():
        a = linear['lora_a']
        change = linears(after['blocks'])[name]['kernel'] - linears(before['blocks'])[name]['kernel']
        expected = -rate * LORA.scale**2 * a @ (a.swapaxes(1, 2) @ full[name]['kernel'])
        assert relative(change, expected) < 2e-3 and jnp.linalg.norm(expected) > 1e-5, name


@functools.cache
def step_of(config):
    """(optimizer, compiled training step) of plain gradient descent."""
    optimizer = optax.sgd(0.1)
    return optimizer, jax.jit(functools.partial(train_step, objective_of(config), optimizer, 1, 0.9))


def stepped(config, params, batch, steps=3):
    """(first state, last state, frozen tree) of training LoRA alone."""
    optimizer, step = step_of(config)
    trained, frozen = partition(params, selects('lora'))
    frozen = {'model': frozen, 'codec': {}, 'text': {}}
    first = state = init_state(jax.tree.map(jnp.asarray, trained), optimizer)
    for _ in range(steps):
        state, metrics = step(state, frozen, batch)
    assert np.isfinite(metrics['loss'])
    return first, state, frozen


def test_training_changes_every_leaf_of_lora_and_holds_no_other(batch):
    first, last, _ = stepped(WITH, awake(WITH), batch)
    assert all('lora_' in path for path in paths(last.trained)) and len(list(paths(last.trained))) == 2 * len(MODULES)
    for before, after in zip(jax.tree.leaves(first.trained), jax.tree.leaves(last.trained), strict=True):
        assert np.any(np.asarray(before) != np.asarray(after))


@pytest.mark.parametrize('storage', [pytest.param('bfloat16', marks=pytest.mark.long), 'int8', 'float8_e4m3fn'])
def test_training_on_stored_kernels_descends(batch, storage):
    config = dataclasses.replace(WITH, dtype='bfloat16')
    trained, frozen = partition(awake(WITH), selects('lora'))
    first, last, kept = stepped(config, merge(trained, put(frozen, storage)), batch, steps=4)
    jax.tree.map(lambda a, b: np.testing.assert_array_equal(np.asarray(a), np.asarray(b)), kept['model'], put(frozen, storage))
    with jax.numpy_dtype_promotion('standard'):
        loss = lambda state: np.mean(losses(objective_of(config), state.trained, kept, batch, jnp.full(4, 0.5), 0, 'evaluation'))
    assert loss(last) < loss(first)


def put(frozen, storage):
    """Frozen parameters in the dtypes of `stored`, kernels of 8 bits rounded by hand."""
    def walk(tree, abstract):
        if 'kernel_scale' in abstract:
            largest = float(jnp.finfo(storage).max) if storage.startswith('float') else 127.0
            scale = np.abs(tree['kernel']).max(1, keepdims=True) / largest
            values = tree['kernel'] / scale
            return {**tree, 'kernel': (np.rint(values) if storage == 'int8' else values).astype(abstract['kernel'].dtype),
                    'kernel_scale': scale.astype(np.float32)}
        return {name: walk(value, abstract[name]) if isinstance(value, dict) else value.astype(abstract[name].dtype)
                for name, value in tree.items()}

    return walk(frozen, stored(jax.eval_shape(lambda: frozen), storage))


def test_stored_kernels_of_blocks_and_text_change_dtype_and_nothing_else():
    abstract = partition(abstract_params(WITH), selects('lora'))[1]
    assert stored(abstract, 'float32') == abstract
    for storage, outer in {'bfloat16': 'bfloat16', 'int8': 'bfloat16', 'float8_e4m3fn': 'bfloat16'}.items():
        tree = stored(abstract, storage)
        for path in paths(tree):
            leaf = functools.reduce(lambda tree, name: tree[name], path.split('/'), tree)
            name = path.rsplit('/', 1)[-1]
            if name == 'kernel' and path.startswith(('blocks', 'text_')):
                assert leaf.dtype == (storage if path.startswith('blocks') else outer), path
            else:
                assert leaf.dtype == jnp.float32, path
        scales = {path for path in paths(tree) if path.endswith('kernel_scale')}
        assert len(scales) == (0 if storage == 'bfloat16' else len(MODULES))
        assert storage == 'bfloat16' or tree['blocks']['up']['kernel_scale'].shape == (2, 1, 48)
    with pytest.raises(ValueError, match=r"'int4'"):
        stored(abstract, 'int4')


def test_scales_are_sharded_as_their_outputs():
    mesh = jax.make_mesh((2,), ('fsdp',), axis_types=(jax.sharding.AxisType.Auto,), devices=jax.devices()[:2])
    leaf = lambda *spec: jax.ShapeDtypeStruct((2, 4, 8), jnp.float32, sharding=jax.NamedSharding(mesh, jax.P(*spec)))
    tree = stored({'blocks': {name: {'kernel': leaf(*spec)} for name, spec in {'a': (None, None, 'fsdp'), 'b': (None, 'fsdp')}.items()}},
                  'int8')['blocks']
    assert tree['a']['kernel_scale'].sharding.spec == jax.P(None, None, 'fsdp') and tree['a']['kernel'].sharding.spec[2] == 'fsdp'
    assert tree['b']['kernel_scale'].sharding.is_fully_replicated


@pytest.mark.parametrize(('storage', 'error'), [('bfloat16', 0.004), ('int8', 0.02), ('float8_e4m3fn', 0.08)])
def test_stored_kernels_compute_nearly_the_same(params, inputs, storage, error):
    trained, frozen = partition(params, selects('lora'))
    out = compiled(WITH)(trained, frozen, *inputs)
    assert 1e-4 < relative(compiled(WITH)(trained, put(frozen, storage), *inputs), out) < error


def test_no_program_has_all_frozen_kernels_in_float32():
    config = dataclasses.replace(PRESETS['medium'], layers=3, dtype='bfloat16', remat='full', lora=LORA)
    trained, frozen = partition(abstract_params(config), selects('lora'))
    frozen = stored(frozen, 'bfloat16')
    inputs = jnp.zeros((1, 2, 8, 8, 3)), jnp.zeros(1), jnp.zeros((1, 8), jnp.int32)
    loss = lambda trained, frozen: jnp.mean(jnp.square(apply(config)(trained, frozen, *inputs)))
    text = jax.jit(jax.grad(loss)).lower(trained, frozen).as_text()
    assert 'tensor<3x384x1536xbf16>' in text and 'tensor<3x384x1536xf32>' not in text
    assert 'tensor<384x1536xf32>' not in text  # nor is one in bfloat16 ever widened


def test_dropout_is_a_function_of_the_examples_key(params, inputs):
    config = dataclasses.replace(WITH, lora=dataclasses.replace(LORA, dropout=0.4))
    predict, (x, t, text) = compiled(config), inputs
    keys = jax.random.split(jax.random.key(7), 2)
    out = predict(params, {}, x, t, text, keys)
    swapped = predict(params, {}, x[::-1], t[::-1], text[::-1], keys[::-1])
    np.testing.assert_allclose(swapped[::-1], out, rtol=1e-4, atol=1e-5)
    assert relative(predict(params, {}, x, t, text, keys[::-1]), out) > 0.01
    np.testing.assert_array_equal(predict(params, {}, x, t, text), compiled(WITH)(params, {}, x, t, text))
    with pytest.raises(ValueError, match='dropout > 0'):
        apply(WITH)(params, {}, x, t, text, keys)


def test_dropout_keeps_the_mean_and_differs_by_layer_of_depth_and_by_name():
    keys, x = jax.random.split(jax.random.key(0), 3), jnp.ones((3, 50, 40))
    dropped = [np.asarray(drop(x, fold(keys, layer), name, 0.25)) for layer, name in ((0, 'up'), (1, 'up'), (0, 'down'))]
    assert all(set(np.unique(y)) == {0.0, np.float32(4 / 3)} and abs(y.mean() - 1) < 0.02 for y in dropped)
    for one, other in ((0, 1), (0, 2), (1, 2)):
        assert 0.3 < np.mean(dropped[one] != dropped[other]) < 0.45  # 2 p (1 - p) = 0.375
    assert 0.3 < np.mean(dropped[0][0] != dropped[0][1]) < 0.45


def test_the_objective_gives_keys_where_there_is_dropout_alone(params, batch):
    plain, dropping = (objective_of(dataclasses.replace(WITH, lora=dataclasses.replace(LORA, dropout=p))) for p in (0.0, 0.5))
    trained, frozen = partition(params, selects('lora'))
    frozen, t = {'model': frozen, 'codec': {}, 'text': {}}, jnp.full(4, 0.5)
    evaluated = losses(dropping, trained, frozen, batch, t, 3, 'noise')
    np.testing.assert_array_equal(evaluated, losses(plain, trained, frozen, batch, t, 3, 'noise'))
    trains = lambda objective, step: np.asarray(losses(objective, trained, frozen, batch, t, jnp.int32(step), 'noise', training=True))
    np.testing.assert_array_equal(trains(plain, 3), evaluated)
    assert np.all(trains(dropping, 3) != np.asarray(evaluated)), 'four masks, one an example'
    np.testing.assert_array_equal(trains(dropping, 3), trains(dropping, 3))


def test_a_selection_is_full_or_lora_or_a_pattern_of_paths():
    abstract = abstract_params(WITH)
    assert selects('full') is everything
    assert {path for path in paths(partition(abstract, selects('lora'))[0])} == {p for p in paths(abstract) if 'lora_' in p}
    assert set(paths(partition(abstract, selects('blocks/(up|down)/bias'))[0])) == {'blocks/up/bias', 'blocks/down/bias'}
    for trained in ('full', 'lora', 'patch_out/.*'):
        check_selects(abstract, trained)
    with pytest.raises(ValueError, match="'blocks/up' selects no parameter; paths are such as blocks/attention/k/bias"):
        check_selects(abstract, 'blocks/up')
    with pytest.raises(ValueError, match='no LoRA'):
        check_selects(abstract_params(CONFIG), 'lora')
    with pytest.raises(ValueError, match=r"'\(' is neither"):
        selects('(')
