"""Devices to compile for: those of a TPU topology that is not here, or this machine's in place of GPUs."""
import contextlib
import dataclasses
import math
import os
import re

import jax
from jax.experimental import topologies

from tqd_jax.planning.chips import CHIPS, Chip
from transfer_jax.runtime.counts import counted
from transfer_jax.runtime.errors import UserError

# libtpu asks for a machine's metadata where the first three are absent, and waits for an answer that does not come; the last lets two
# processes compile at once
ENVIRONMENT = {'TPU_SKIP_MDS_QUERY': '1', 'TPU_ACCELERATOR_TYPE': 'v5p-8', 'TPU_WORKER_HOSTNAMES': 'localhost',
               'ALLOW_MULTIPLE_LIBTPU_LOAD': '1'}
NOTATION = re.compile(r'(?:(\d+)\*)?(\w+):(\d+(?:x\d+)*)')  # slices * kind : chips


@dataclasses.dataclass(frozen=True, kw_only=True)
class Topology:
    """Chips and how they are joined. name: as the user wrote it. chip: of the table. shape: chips along each axis of a slice. slices: of
    TPU chips, joined by the data centre's network."""
    name: str
    chip: Chip
    shape: tuple[int, ...]
    slices: int = 1

    @property
    def chips(self) -> int:
        """Chips in all."""
        return self.slices * math.prod(self.shape)

    @property
    def devices(self) -> int:
        """Devices of JAX in all."""
        return self.chips * self.chip.devices

    @property
    def hbm(self) -> float:
        """GiB a device."""
        return self.chip.hbm / self.chip.devices


def read_topologies(names: list[str] | None, gpu_memory: float | None) -> list[Topology]:
    """The Topologies of the flags. gpu_memory: GiB of each GPU, in place of the table's; alone, of one GPU. Raises UserError."""
    names = names or (['gpu:1'] if gpu_memory else [])
    if not names:
        raise UserError('say what is planned for: --topology=v5e:1x1,v6e:2x4 (a comma between several), or --gpu-memory=80')
    found = [read_topology(name) for name in names]
    gpus = [topology for topology in found if topology.chip.platform == 'gpu']
    if gpu_memory is not None and not (gpus and gpu_memory > 0):
        raise UserError(f'--gpu-memory={gpu_memory:g} is GiB of a GPU: name GPUs by --topology, as in gpu:8, or leave it out')
    sized = lambda topology: dataclasses.replace(topology, chip=dataclasses.replace(topology.chip, hbm=gpu_memory or topology.chip.hbm))
    return [sized(topology) if topology in gpus else topology for topology in found]


def read_topology(name: str) -> Topology:
    """The Topology that a text such as v5e:1x1, v5p:2x2x1, 2*v5e:4x4 or h100:8 stands for. Raises UserError with the known names."""
    match = NOTATION.fullmatch(name.strip())
    chip = CHIPS.get(match[2]) if match else None
    shape = tuple(int(size) for size in match[3].split('x')) if match else ()
    if chip is not None and len(shape) != chip.axes:
        raise UserError(f'--topology={name}: chips of {match[2]} lie along {chip.axes} {"axis" if chip.axes == 1 else "axes"}, as in '
                        f'{chip.example}')
    if chip is None or min(shape) < 1:
        raise UserError(f'--topology={name} is not known: write KIND:CHIPS, of {", ".join(chip.example for chip in CHIPS.values())}, or '
                        'several slices of TPU chips as in 2*v5e:4x4')
    slices = int(match[1] or 1)
    if slices < 1 or (slices > 1 and chip.platform != 'tpu'):
        raise UserError(f'--topology={name}: slices are of TPU chips; write {match[2]}:{slices * shape[0]}')
    return Topology(name=name.strip(), chip=chip, shape=shape, slices=slices)


def stand_in(topology: Topology, devices: list) -> str | None:
    """The `platform` of a WanConfig where devices stand for others: CPUs for GPUs. None where they are what they are."""
    return 'gpu' if topology.chip.platform == 'gpu' and devices[0].platform == 'cpu' else None


def devices_of(topology: Topology) -> list:
    """The devices to compile for: of a TPU topology, a GPU of this machine, or virtual devices of the CPU.

    Raises UserError where libtpu is not installed, or does not know the topology.
    """
    return _tpus(topology) if topology.chip.platform == 'tpu' else _here(topology.devices)


def _tpus(topology):
    check_libtpu()
    os.environ |= ENVIRONMENT
    # a slice that is smaller than a host
    bounds = {'chips_per_host_bounds': list((*topology.shape, 1)[:3])} if topology.chips == 1 else {}
    shape = 'x'.join(str(size) for size in topology.shape)
    slices = {'num_slices': topology.slices} if topology.slices > 1 else {}
    try:
        return list(topologies.get_topology_desc(platform='tpu', topology_name=f'{topology.chip.name}:{shape}', **bounds, **slices).devices)
    except (jax.errors.JaxRuntimeError, ValueError, NotImplementedError) as error:
        reason = str(error).splitlines()[0]
        raise UserError(f'--topology={topology.name}: libtpu knows no such slice ({reason}); whole hosts are '
                        f'{topology.chip.example} and multiples') from None


def check_libtpu() -> None:
    """Raises UserError where libtpu is not installed."""
    try:
        import libtpu  # noqa: F401
    except ImportError:
        raise UserError("programs for a TPU are compiled by libtpu, which is not installed: pip install 'tqd-jax[tpu]' (from a clone: "
                        "pip install -e '.[tpu]')") from None


def prepare_jax(found: list[Topology]) -> None:
    """Sets JAX's devices up, before any is asked for: those of this machine alone where GPUs are planned for, else the CPU."""
    gpus = [topology.devices for topology in found if topology.chip.platform == 'gpu']
    if not gpus:
        jax.config.update('jax_platforms', 'cpu')  # beside which libtpu only compiles
    with contextlib.suppress(RuntimeError):  # devices are there already: _here says where they are too few
        jax.config.update('jax_num_cpu_devices', max(gpus, default=1))


def _here(count):
    """GPUs of this machine, else virtual CPU devices in their place."""
    devices = jax.devices()
    if len(devices) < count:
        raise UserError(f'{counted(count, "device is", "devices are")} planned for, and JAX has {len(devices)} ({devices[0].platform}): '
                        'JAX_PLATFORMS=cpu plans for '
                        'more than there are')
    return devices[:count]
