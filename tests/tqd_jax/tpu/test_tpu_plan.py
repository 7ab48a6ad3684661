"""A plan of two blocks of Wan 1.3B at real width and tokens, compiled for one v5e chip without one."""
import dataclasses

import pytest

from configs import wan
from tqd_jax.config import Config
from tqd_jax.models.wan.config import PRESETS
from tqd_jax.planning.compiled import Kept
from tqd_jax.planning.search import search
from tqd_jax.planning.sizes import checked
from tqd_jax.planning.topology import devices_of, read_topology
from transfer_jax.runtime.config import instance

pytest.importorskip('libtpu', reason='make tpu installs it')
pytestmark = [pytest.mark.tpu, pytest.mark.filterwarnings('default')]


def test_two_blocks_on_one_v5e_need_no_whole_recomputation(tmp_path, monkeypatch):
    monkeypatch.setitem(PRESETS, 'wan_1_3b', dataclasses.replace(PRESETS['wan_1_3b'], layers=2))
    config, topology = checked(instance(Config, wan.get_config())), read_topology('v5e:1x1')
    answer = search(config, topology, devices_of(topology), Kept(tmp_path), print)
    memory, = answer.best.memory
    assert answer.best.fits and answer.best.candidate.remat != 'full' and memory.whole < topology.hbm
    assert memory.arguments + memory.temporaries + memory.results == pytest.approx(memory.whole, abs=2e-3)
