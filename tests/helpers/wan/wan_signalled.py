"""python -m MODULE, but that the program sends itself a signal when so many records of a kind were given to a cache.

    python tests/helpers/wan/wan_signalled.py SIGNAL latents|text RECORDS MODULE [flags]

Its shards have two records each, so that a kill finds some committed and one open.
"""
import os
import sys
from unittest import mock

from alone import one_device
from quick import run_module

from tqd_jax.cache import records


def signalled(number, kind, count):
    """A context in which Writer.add of that kind sends the signal after its record number `count`."""
    add, calls = records.Writer.add, []

    def deadly(writer, *arguments, **facts):
        add(writer, *arguments, **facts)
        calls.append(writer._folder.name)
        if calls.count(kind) == count and calls[-1] == kind:
            os.kill(os.getpid(), number)
    return mock.patch.object(records.Writer, 'add', deadly)


def small_shards():
    """A context in which a shard has at most two records."""
    return mock.patch.object(records._Shard, 'is_full', lambda shard, limits: len(shard.lines) >= 2)


if __name__ == '__main__':
    number, kind, count, module, *rest = sys.argv[1:]
    with one_device(), signalled(int(number), kind, int(count)), small_shards():
        run_module(module, rest)
