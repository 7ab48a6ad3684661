"""A read of a damaged checkpoint is one error: what orbax leaves beside it is not told, and other errors are."""
import asyncio
import gc
import logging
import os
import pathlib
import subprocess
import sys
import types
import warnings

import pytest

from transfer_jax.runtime.saves import checkpoint

DAMAGED = """
import gc, pathlib, sys
import jax, jax.numpy as jnp
from transfer_jax.runtime.errors import UserError
from transfer_jax.runtime.saves.checkpoint import Checkpoints
state, checkpoints = {f'a{i}': jnp.full(20_000, i) for i in range(12)}, Checkpoints(sys.argv[1])
abstract = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=leaf.sharding), state)
checkpoints.save(1, state, {})
for file in pathlib.Path(sys.argv[1]).glob('1/*/ocdbt.process_0/d/*'):
    file.unlink()
for _ in range(3):
    try:
        checkpoints.restore(1, abstract)
    except UserError as error:
        print(str(error).split('(')[0])
    gc.collect()
"""


def test_a_read_that_fails_is_one_line_whatever_the_others_do(tmp_path):
    """orbax leaves the other arrays' reads unawaited; Python told each of them, with its whole configuration, where it was collected."""
    environment = {**os.environ, 'PYTHONPATH': str(pathlib.Path(__file__).parents[4])}
    done = subprocess.run([sys.executable, '-c', DAMAGED, tmp_path], env=environment, text=True, capture_output=True)
    assert done.stdout.splitlines() == 3 * [f'the checkpoint {tmp_path}/1 cannot be read '] and done.stderr == ''


def leave_a_future():
    """Ends a future with an error that nobody asks for: asyncio tells it as it is collected."""
    loop = asyncio.new_event_loop()
    loop.create_future().set_exception(ValueError('a shard has 0 bytes'))
    loop.close()


def leave_a_task():
    loop = asyncio.new_event_loop()
    asyncio.Task(asyncio.sleep(9), loop=loop)
    loop.run_until_complete(asyncio.sleep(0))
    loop.close()
    gc.collect()


def fail_in_a_callback():
    loop = asyncio.new_event_loop()
    loop.call_soon(int, 'x')
    loop.run_until_complete(asyncio.sleep(0))
    loop.close()


LEAVE = {'never retrieved': leave_a_future, 'destroyed but it is pending': leave_a_task, 'Exception in callback': fail_in_a_callback}


@pytest.fixture
def told(monkeypatch):
    """What Python tells of errors that nobody can catch; filters and hooks are as before at the end."""
    texts, log = [], logging.getLogger('asyncio')
    monkeypatch.setattr(sys, 'unraisablehook', lambda unraisable: texts.append(str(unraisable.exc_value)))
    monkeypatch.setattr(log, 'filters', [])
    with warnings.catch_warnings():
        yield texts


def raised():
    for text in ('Event loop is closed', 'another error'):
        sys.unraisablehook(types.SimpleNamespace(exc_value=RuntimeError(text), object=None))


def test_reads_beside_an_error_are_not_told_and_other_errors_are(told):
    """They end while the error is raised, or later: which of the two depends on how fast the disk is. Without an error nothing stays."""
    with checkpoint._reads_beside_an_error_untold():
        raised()
    assert told == ['another error']
    raised()
    assert told == ['another error', 'Event loop is closed', 'another error']
    with pytest.raises(OSError, match='damaged'), checkpoint._reads_beside_an_error_untold():
        raise OSError('damaged')
    raised()
    assert told[3:] == ['another error']


@pytest.mark.parametrize('text', LEAVE)
def test_what_asyncio_tells_of_reads_left_beside_an_error_is_not_logged(text, told, caplog):
    def texts():
        caplog.clear()
        LEAVE[text]()
        logging.getLogger('asyncio').error('another error')
        return [record.getMessage().splitlines()[0] for record in caplog.records]
    assert [text in line for line in texts()] == [True, False]
    with checkpoint._reads_beside_an_error_untold():
        assert texts() == ['another error']
    assert [text in line for line in texts()] == [True, False]
    with pytest.raises(OSError, match='damaged'), checkpoint._reads_beside_an_error_untold():
        raise OSError('damaged')
    assert texts() == ['another error']
