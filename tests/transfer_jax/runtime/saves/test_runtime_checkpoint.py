"""Checkpoints come back bit for bit, on other devices too; kills, full disks and other models leave the last good one standing."""
import errno
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import threading
import time

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from transfer_jax.runtime.errors import UserError
from transfer_jax.runtime.parallel.mesh import make_mesh, shard_tree
from transfer_jax.runtime.saves.checkpoint import Checkpoints
from transfer_jax.runtime.tensors import load_weights, save_weights


def make_state(mesh, width=64):
    params = {'w': jax.random.normal(jax.random.key(0), (32, width)), 'half': jax.random.normal(jax.random.key(1), (16, 8), jnp.bfloat16)}
    state = {'params': params, 'opt': optax.adam(1e-3).init(params), 'step': jnp.int32(7), 'example': jnp.uint32(2**32 - 1),
             'tiny': jnp.array([jnp.nan, -0.0, jnp.inf, 1e-45], jnp.float32)}
    return jax.device_put(state, shard_tree(state, mesh, min_size=1024))


def abstract_of(state, mesh):
    shardings = shard_tree(state, mesh, min_size=1024)
    return jax.tree.map(lambda leaf, sharding: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=sharding), state, shardings)


def assert_same_bits(tree, other):
    assert jax.tree.structure(tree) == jax.tree.structure(other)
    for one, two in zip(jax.tree.leaves(tree), jax.tree.leaves(other), strict=True):
        assert one.dtype == two.dtype and np.asarray(one).tobytes() == np.asarray(two).tobytes()


@pytest.mark.parametrize('devices, fsdp', [(8, 4), (8, 8), (2, 1), (1, 1)])
def test_round_trip_to_another_topology(tmp_path, devices, fsdp):
    state = make_state(make_mesh(2, 4))
    checkpoints = Checkpoints(tmp_path / 'run' / 'checkpoints')
    assert checkpoints.latest() is None and not checkpoints.directory.exists()
    extras = {'iterator': 412, 'normaliser': {'motion': [0.1, 1 / 3]}, 'name': 'Übung'}
    checkpoints.save(7, state, extras)
    assert checkpoints.latest() == 7 and checkpoints.extras(7) == extras
    abstract = abstract_of(state, make_mesh(-1, fsdp, devices=jax.devices()[:devices]))
    copy = checkpoints.restore(7, abstract)
    assert_same_bits(copy, state)
    assert [leaf.sharding for leaf in jax.tree.leaves(copy)] == [leaf.sharding for leaf in jax.tree.leaves(abstract)]


def test_a_checkpoint_that_another_process_removed_is_not_called_damaged(tmp_path):
    state, reader = {'w': jnp.ones(3)}, Checkpoints(tmp_path)
    reader.save(1, state, {})
    step = reader.latest()
    writer = Checkpoints(tmp_path, keep=1)
    writer.save(2, state, {})
    for read in (lambda: reader.extras(step), lambda: reader.restore(step, state)):
        with pytest.raises(UserError, match=r'1 is not there any more: .*; the same command reads its newest$'):
            read()


def test_a_part_comes_back_and_nothing_else_is_read(tmp_path):
    part, rest = (jax.random.normal(jax.random.key(number), (size, 2**18)) for number, size in enumerate((2, 16)))
    checkpoints = Checkpoints(tmp_path)
    checkpoints.save(1, {'average': {'w': part}, 'rest': rest}, {})
    restored, before = [], bytes_read()
    restored.append(checkpoints.restore_part(1, 'average', {'w': part}))
    assert bytes_read() - before < 2 * part.nbytes
    assert_same_bits(restored[0], {'w': part})
    with pytest.raises(UserError, match=r'average/w: float32\[2, 262144\] there, absent here'):
        checkpoints.restore_part(1, 'average', {'half': part})


def bytes_read():
    """Bytes that this process has read from files so far."""
    return int(pathlib.Path('/proc/self/io').read_text().split()[1])


def test_the_last_checkpoints_stay_and_a_step_is_saved_once(tmp_path):
    checkpoints = Checkpoints(tmp_path, keep=2)
    for step in (1, 2, 10, 9):
        checkpoints.save(step, {'w': jnp.full((3,), jnp.float32(step))}, {'step': step})
    assert checkpoints.steps() == [9, 10] and sorted(os.listdir(tmp_path)) == ['10', '9']
    checkpoints.save(10, {'w': jnp.zeros(3)}, {})
    assert checkpoints.extras(10) == {'step': 10}


def test_steps_go_on_while_a_checkpoint_is_written(tmp_path, monkeypatch):
    write, lasts = Checkpoints._write, threading.Event()

    def slow(*arguments):
        wait = write(*arguments)
        return lambda: (wait(), lasts.wait(30))
    monkeypatch.setattr(Checkpoints, '_write', slow)
    state = make_state(make_mesh(2, 4))
    copy = jax.tree.map(np.array, state)  # no view of their memory
    with Checkpoints(tmp_path, keep=2) as checkpoints:
        checkpoints.begin(1, state, {})
        later = jax.jit(lambda tree: jax.tree.map(lambda x: x * jnp.array(3, x.dtype), tree), donate_argnums=0)(state)
        assert state['params']['w'].is_deleted(), 'the step took its memory'
        lasts.set()
        checkpoints.begin(2, later, {})
        assert_same_bits(checkpoints.restore(1, abstract_of(later, make_mesh())), copy)
    assert sorted(os.listdir(tmp_path)) == ['1', '2']


def test_an_error_while_a_checkpoint_is_written_comes_at_the_next_and_never_hides_another(tmp_path, monkeypatch):
    def full():
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    monkeypatch.setattr(Checkpoints, '_write', lambda *arguments: full)
    checkpoints = Checkpoints(tmp_path)
    for later in (lambda: checkpoints.begin(2, {}, {}), checkpoints.finish):
        checkpoints.begin(1, {}, {})
        with pytest.raises(UserError, match=r'step 1 to .*: No space left on device; .*no earlier checkpoint'):
            later()
    with pytest.raises(ZeroDivisionError), checkpoints:
        checkpoints.begin(1, {}, {})
        1 / 0  # noqa: B018


@pytest.mark.parametrize('change, words', [
    (lambda state: make_state(make_mesh(), width=48), r'params/w: float32\[32, 64\] there, float32\[32, 48\] here; use'),
    (lambda state: {'params': state['params']}, 'and 5 more; use the config that it was made with'),
    (lambda state: {**state, 'ema': jnp.zeros(3)}, r'ema: absent there, float32\[3\] here'),
    (lambda state: {key: state[key] for key in state if key != 'step'}, r'step: int32\[\] there, absent here'),
    (lambda state: {**state, 'step': jnp.uint32(0)}, r'step: int32\[\] there, uint32\[\] here'),
])
def test_another_model_is_refused_with_both_shapes(tmp_path, change, words):
    state, checkpoints = make_state(make_mesh()), Checkpoints(tmp_path)
    checkpoints.save(1, state, {})
    with pytest.raises(UserError, match=words):
        checkpoints.restore(1, abstract_of(change(state), make_mesh()))


@pytest.mark.filterwarnings('ignore::pytest.PytestUnraisableExceptionWarning')  # orbax leaves coroutines unawaited when it fails
@pytest.mark.parametrize('damage', [
    lambda path: [file.write_bytes(b'') for file in path.glob('*/ocdbt.process_0/d/*')],
    lambda path: [file.write_bytes(file.read_bytes()[:-1]) for file in path.glob('*/d/*')],
    lambda path: shutil.rmtree(next(path.glob('*/ocdbt.process_0')).parent),
    lambda path: [file.write_text('{') for file in path.rglob('_METADATA')],
])
def test_a_damaged_checkpoint_is_named(tmp_path, damage):
    state, checkpoints = make_state(make_mesh(), width=10**4), Checkpoints(tmp_path)
    checkpoints.save(1, state, {})
    damage(tmp_path / '1')
    with pytest.raises(UserError, match=r'1 cannot be read .*; remove that folder and the run begins anew: there is no earlier one$'):
        checkpoints.restore(1, abstract_of(state, make_mesh()))


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / 'file').write_text('in the way')
    with pytest.raises(UserError, match=r'step 3 to .*file: .*no earlier checkpoint'):
        Checkpoints(tmp_path / 'file').save(3, {'w': jnp.zeros(3)}, {})


START = """
import sys, resource
import jax, jax.numpy as jnp
from transfer_jax.runtime.saves.checkpoint import Checkpoints
from transfer_jax.runtime.errors import UserError
checkpoints = Checkpoints(sys.argv[1])
state = lambda step: {'w': jax.random.normal(jax.random.key(step), (500, 1000)), 'step': jnp.int32(step)}
"""
FULL = START + """
checkpoints.save(1, state(1), {})
resource.setrlimit(resource.RLIMIT_FSIZE, (2**20, 2**20))
try:
    checkpoints.save(2, state(2), {})
except UserError as error:
    print(error)
"""
ENDLESS = START + """
taken = jax.jit(lambda state: jax.tree.map(lambda x: x + 1, state), donate_argnums=0)
for step in range(1, 10**6):
    saved = state(step)
    getattr(checkpoints, sys.argv[2])(step, saved, {'step': step})
    taken(saved)
"""


def python(program, *words, **options):
    environment = {**os.environ, 'PYTHONPATH': str(pathlib.Path(__file__).parents[4])}
    return subprocess.Popen([sys.executable, '-c', program, *words], env=environment, text=True, **options)


def assert_whole(folder, step):
    abstract = jax.eval_shape(lambda: {'w': jnp.zeros((500, 1000)), 'step': jnp.int32(0)})
    device = jax.sharding.SingleDeviceSharding(jax.devices()[0])
    abstract = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=device), abstract)
    copy = Checkpoints(folder).restore(step, abstract)
    assert_same_bits(copy, {'w': jax.random.normal(jax.random.key(step), (500, 1000)), 'step': jnp.int32(step)})


def test_a_full_disk_is_one_line_and_leaves_the_last_checkpoint(tmp_path):
    process = python(FULL, tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    out, error = process.communicate(timeout=60)
    assert error == '' and out.count('\n') == 1
    assert f'step 2 to {tmp_path}: File too large; ' in out and 'the checkpoint of step 1 is intact' in out
    assert os.listdir(tmp_path) == ['1']
    assert_whole(tmp_path, 1)


@pytest.mark.parametrize(('how', 'delay'), [('save', 0.0), ('begin', 0.03), ('begin', 0.08)])
def test_killed_in_the_middle_of_a_save(tmp_path, how, delay):
    process = python(ENDLESS, tmp_path, how)
    while not ((tmp_path / '3').exists() and any(path.name.endswith('tmp') for path in tmp_path.iterdir())):
        assert process.poll() is None
        time.sleep(0.001)
    time.sleep(delay)
    process.send_signal(signal.SIGKILL)
    process.wait()
    checkpoints = Checkpoints(tmp_path)
    assert checkpoints.latest() >= 3
    for step in checkpoints.steps():
        assert_whole(tmp_path, step)
    checkpoints.save(10**6, {'w': jnp.zeros(3)}, {})
    assert all(name.isdecimal() for name in os.listdir(tmp_path))


def test_weights(tmp_path):
    params = {'block': [{'w': jnp.arange(6, dtype=jnp.float32).reshape(2, 3) / 8}], 'ids': jnp.arange(3)}
    path = tmp_path / 'weights.npz'
    save_weights(path, params)
    assert_same_bits(load_weights(path, jax.eval_shape(lambda: params)), params)
    save_weights(path, params, dtype=np.float16)
    with np.load(path) as file:
        assert {name: file[name].dtype for name in file} == {'block/0/w': np.float16, 'ids': np.int32}
    assert_same_bits(load_weights(path, params), params)
    with pytest.raises(UserError, match=r'weights.npz is of another model .*block/0/w: \[2, 3\] there, \[3, 3\] here'):
        load_weights(path, {**params, 'block': [{'w': jnp.zeros((3, 3))}]})
    whole = path.read_bytes()
    for damaged in (b'', whole[:100], whole[:64] + bytes(byte ^ 255 for byte in whole[64:120]) + whole[120:]):
        path.write_bytes(damaged)
        with pytest.raises(UserError, match='cannot be read'):
            load_weights(path, params)
    with pytest.raises(UserError, match='No such file'):
        load_weights(tmp_path / 'absent.npz', params)


def test_a_damaged_checkpoint_is_said_to_have_one_before_where_it_has(tmp_path):
    checkpoints = Checkpoints(tmp_path)
    for step in (1, 2):
        checkpoints.save(step, {'w': jnp.ones(3)}, {})
    for path in (tmp_path / '2').rglob('_METADATA'):
        path.write_text('')
    with pytest.raises(UserError, match=r'2 cannot be read .*; remove that folder to go on from the one before$'):
        checkpoints.require(2, {'w': jax.ShapeDtypeStruct((3,), jnp.float32)})
