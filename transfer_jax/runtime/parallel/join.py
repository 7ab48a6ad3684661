"""Joining the other processes of a job: by flags, or as the environment of a cluster describes them."""
import functools
import glob
import importlib.util
import os
from collections.abc import Mapping

import jax

from transfer_jax.runtime.errors import UserError
from transfer_jax.runtime.parallel.gather import wait_for

FLAGS = {'coordinator': 'JAX_COORDINATOR_ADDRESS', 'processes': 'JAX_NUM_PROCESSES', 'process': 'JAX_PROCESS_ID'}  # flag -> variable
HEARTBEAT = 60  # s without a sign of life after which a process counts as dead, and the others end
SLURM = 'SLURM_JOB_ID', 'SLURM_STEP_NODELIST', 'SLURM_PROCID', 'SLURM_LOCALID'  # of a step that srun starts
GOOGLE = 'Google Cloud TPU'
TPU_DEVICES = '/dev/accel[0-9]*', '/dev/vfio/[0-9]*'


def is_one_of_several(**flags: str | int | None) -> bool:
    """Whether the flags of join, their variables or a cluster's environment name several processes; --processes=1 says no."""
    values = _values(os.environ, **(dict.fromkeys(FLAGS) | flags))
    return values.get('processes') != 1 and (bool(values) or cluster(os.environ) is not None)


def join(coordinator: str | None = None, processes: int | None = None, process: int | None = None) -> None:
    """Joins the processes of a job: process number `process` of `processes`, which find each other at `coordinator`, host:port.

    What is None is read from the variables of FLAGS, or comes from the cluster that the environment describes (`cluster`). Runs before
    anything else touches JAX.

    Raises:
      UserError: something is missing, or the others cannot be reached.
    """
    values = _values(os.environ, coordinator=coordinator, processes=processes, process=process)
    name = cluster(os.environ)
    missing = [f'--{flag}' for flag in FLAGS if flag not in values]
    if name is None and missing:
        raise UserError(f'{", ".join(f"--{flag}={value}" for flag, value in values.items())} names a job of several processes: '
                        f'{" and ".join(missing)} {"is" if len(missing) == 1 else "are"} missing')
    if not values.get('coordinator', 'host:1').rpartition(':')[2].isdecimal():
        raise UserError(f'--coordinator={values["coordinator"]} has no port: write HOST:PORT, a free port of the first process')
    jax.config.update('jax_enable_preemption_service', False)  # it would take SIGTERM; a StopRequest answers it
    try:
        wait_for(functools.partial(jax.distributed.initialize, *map(values.get, FLAGS), heartbeat_timeout_seconds=HEARTBEAT,
                                   cluster_detection_method=None if name else 'deactivate'))
    except (OSError, RuntimeError, ValueError) as error:
        if name == GOOGLE and not values and not isinstance(error, RuntimeError):  # JAX knows of no slice here
            print(f'no metadata of a TPU slice ({_first_line(error)}): this host runs alone', flush=True)
            return
        where = f'the cluster of {name}' if name else f'--coordinator={values["coordinator"]}'
        raise UserError(f'this process cannot join the others by {where} ({_first_line(error)}): start every process of the job, each with '
                        'its own number, and let all reach the coordinator\'s port') from error


def cluster(environment: Mapping[str, str]) -> str | None:
    """The name of the cluster of several processes that the environment describes, as JAX reads it; None: there is none.

    On a machine with TPU chips Google's metadata tells, which JAX asks, unless TPU_SKIP_MDS_QUERY is set.
    """
    if int(environment.get('SLURM_NTASKS', 1)) > 1 and all(name in environment for name in SLURM):
        return 'SLURM'
    if int(environment.get('OMPI_COMM_WORLD_SIZE', 1)) > 1 and 'OMPI_MCA_orte_hnp_uri' in environment:
        return 'Open MPI'
    if not has_tpu(environment):
        return None
    if names := environment.get('TPU_PROCESS_ADDRESSES', environment.get('TPU_WORKER_HOSTNAMES')):
        return 'GKE' if ',' in names or int(environment.get('MEGASCALE_NUM_SLICES', 1)) > 1 else None
    return None if 'TPU_SKIP_MDS_QUERY' in environment else GOOGLE


def has_tpu(environment: Mapping[str, str]) -> bool:
    """Whether JAX finds TPU chips of this machine: their devices, libtpu, and no other platform that is asked for."""
    platforms = environment.get('JAX_PLATFORMS') or 'tpu'
    return 'tpu' in platforms and any(map(glob.glob, TPU_DEVICES)) and importlib.util.find_spec('libtpu') is not None


def _values(environment, **flags):
    """{name: value} of the flags, or of their variables; those that neither gives are left out."""
    read = {name: value if value is not None else environment.get(FLAGS[name]) for name, value in flags.items()}
    try:
        return {name: value if name == 'coordinator' else int(value) for name, value in read.items() if value is not None}
    except ValueError as error:
        raise UserError(f'{FLAGS["processes"]} and {FLAGS["process"]} are whole numbers: {error}') from None


def _first_line(error):
    return str(error).split('\n')[0][:200]
