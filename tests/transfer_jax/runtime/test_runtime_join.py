"""Which clusters are joined, with what, and what is refused; no cluster is needed."""
import importlib.util

import jax
import pytest

from transfer_jax.runtime.errors import UserError
from transfer_jax.runtime.parallel import join as module
from transfer_jax.runtime.parallel.join import FLAGS, cluster, is_one_of_several, join

SLURM = {'SLURM_NTASKS': '2', 'SLURM_STEP_NODELIST': 'a[1-2]', 'SLURM_JOB_ID': '7', 'SLURM_PROCID': '0', 'SLURM_LOCALID': '0'}
MPI = {'OMPI_COMM_WORLD_SIZE': '2', 'OMPI_MCA_orte_hnp_uri': '1.0;tcp://10.0.0.1:1'}


@pytest.fixture(autouse=True)
def plain(monkeypatch):
    """No cluster, no chips."""
    for name in [*FLAGS.values(), *SLURM, *MPI, 'TPU_WORKER_HOSTNAMES', 'TPU_PROCESS_ADDRESSES', 'TPU_SKIP_MDS_QUERY', 'JAX_PLATFORMS']:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(module, 'TPU_DEVICES', ())


@pytest.fixture
def chips(monkeypatch):
    """A machine with TPU chips, as far as its devices and packages tell."""
    monkeypatch.setattr(module, 'TPU_DEVICES', ('/dev/null',))
    monkeypatch.setattr(importlib.util, 'find_spec', lambda name: name == 'libtpu' or None)


@pytest.fixture
def calls(monkeypatch):
    """What jax.distributed.initialize is called with."""
    found = []
    monkeypatch.setattr(jax.distributed, 'initialize', lambda *arguments, **options: found.append((arguments, options)))
    return found


@pytest.mark.parametrize('environment, name', [
    ({}, None), (SLURM, 'SLURM'), (SLURM | {'SLURM_NTASKS': '1'}, None), ({'SLURM_NTASKS': '2', 'SLURM_STEP_NODELIST': 'a'}, None),
    (MPI, 'Open MPI'), (MPI | {'OMPI_COMM_WORLD_SIZE': '1'}, None),
    ({'TPU_WORKER_HOSTNAMES': 'a,b'}, None)])
def test_clusters_without_chips(environment, name):
    assert cluster(environment) == name


@pytest.mark.parametrize('environment, name', [
    ({}, 'Google Cloud TPU'), ({'TPU_SKIP_MDS_QUERY': '1'}, None), ({'JAX_PLATFORMS': 'cpu'}, None),
    ({'TPU_WORKER_HOSTNAMES': 'a,b'}, 'GKE'), ({'TPU_WORKER_HOSTNAMES': 'localhost'}, None),
    ({'TPU_WORKER_HOSTNAMES': 'a', 'MEGASCALE_NUM_SLICES': '2'}, 'GKE')])
def test_clusters_with_chips(chips, environment, name):
    assert cluster(environment) == name


def test_flags_and_their_variables(calls, monkeypatch):
    assert not is_one_of_several() and not is_one_of_several(processes=1)
    with monkeypatch.context() as patch:
        for name, value in SLURM.items():
            patch.setenv(name, value)
        assert is_one_of_several() and not is_one_of_several(processes=1)
    monkeypatch.setenv('JAX_COORDINATOR_ADDRESS', 'host:1')
    monkeypatch.setenv('JAX_NUM_PROCESSES', '4')
    assert is_one_of_several()
    join(process=3)
    (arguments, options), = calls
    assert arguments == ('host:1', 4, 3) and options['cluster_detection_method'] == 'deactivate'


def test_a_cluster_gives_what_flags_do_not(calls, chips):
    join()
    (arguments, options), = calls
    assert arguments == (None, None, None) and options['cluster_detection_method'] is None


@pytest.mark.parametrize('flags, message', [
    ({'coordinator': 'host:1'}, '--coordinator=host:1 names a job of several processes: --processes and --process are missing'),
    ({'coordinator': 'host:1', 'processes': 2}, '--process is missing'),
    ({'coordinator': 'host', 'processes': 2, 'process': 0}, '--coordinator=host has no port: write HOST:PORT')])
def test_what_is_missing_is_named(calls, flags, message):
    with pytest.raises(UserError, match=message):
        join(**flags)
    assert not calls


def test_a_variable_that_is_no_number_is_refused(monkeypatch):
    monkeypatch.setenv('JAX_PROCESS_ID', 'first')
    with pytest.raises(UserError, match=r"JAX_PROCESS_ID are whole numbers: .*'first'"):
        is_one_of_several()


def test_a_machine_with_chips_and_no_metadata_runs_alone_and_says_so(chips, monkeypatch, capsys):
    monkeypatch.setattr(jax.distributed, 'initialize', lambda *args, **options: (_ for _ in ()).throw(OSError('no route to metadata')))
    join()
    assert capsys.readouterr().out == 'no metadata of a TPU slice (no route to metadata): this host runs alone\n'
    with pytest.raises(UserError, match='cannot join the others by the cluster of Google Cloud TPU'):
        join(processes=2)
