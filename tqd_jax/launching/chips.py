"""Chips and slices: how each interface of Google Cloud names them, their shape, and their hosts."""
import dataclasses

from transfer_jax.runtime.errors import UserError

IMAGES = 'ubuntu-os-accelerator-images'  # the project of the images of Compute Engine
FLAT = {1: '1x1', 4: '2x2', 8: '2x4', 16: '4x4', 32: '4x8', 64: '8x8', 128: '8x16', 256: '16x16'}  # chips: topology
CUBE = {4: '2x2x1', 8: '2x2x2', 16: '2x2x4', 32: '2x4x4', 64: '4x4x4', 128: '4x4x8', 256: '4x8x8', 512: '8x8x8'}
GPUS = ('t4', 'l4', 'a100', 'h100', 'h200', 'b200')


@dataclasses.dataclass(frozen=True, kw_only=True)
class Kind:
    """A kind of TPU: what counts in its names, and what it is called where.

    runtime: the software of a TPU VM; None: the Cloud TPU API does not offer it. machine: machine type by chips a host. image: family
    of images of Compute Engine. label: GKE's. shapes: topology by number of chips.
    """
    counted: int
    runtime: str | None
    machine: str
    image: str
    label: str
    shapes: dict


@dataclasses.dataclass(frozen=True, kw_only=True)
class Slice:
    """What a name such as v6e-8 means: chips, hosts of `per_host` chips each, topology; kind is None for GPUs."""
    name: str
    family: str
    chips: int
    hosts: int
    per_host: int
    topology: str | None
    kind: Kind | None

    @property
    def devices(self):
        """How many devices JAX has there: two a chip on tpu7x."""
        return self.chips * (2 if self.family == 'tpu7x' else 1)

    @property
    def machine(self):
        """The machine type of a host."""
        return self.kind.machine.format(self.per_host)


EARLIER = 'ubuntu-accel-2204-amd64-tpu-v5e-v5p-v6e'
KINDS = {
    'v5litepod': Kind(counted=1, runtime='v2-alpha-tpuv5-lite', machine='ct5lp-hightpu-{}t', image=EARLIER, label='tpu-v5-lite-podslice',
                      shapes=FLAT),
    'v5p': Kind(counted=2, runtime='v2-alpha-tpuv5', machine='ct5p-hightpu-{}t', image=EARLIER, label='tpu-v5p-slice', shapes=CUBE),
    'v6e': Kind(counted=1, runtime='v2-alpha-tpuv6e', machine='ct6e-standard-{}t', image=EARLIER, label='tpu-v6e-slice', shapes=FLAT),
    'tpu7x': Kind(counted=2, runtime=None, machine='tpu7x-standard-{}t', image='ubuntu-accel-2404-amd64-tpu-tpu7x', label='tpu7x',
                  shapes=CUBE),
}


def slice_of(name: str) -> Slice:
    """The Slice that a name means. Raises UserError for a kind or a size that there is not."""
    family, _, size = name.rpartition('-')
    if family in GPUS:
        return Slice(name=name, family=family, chips=int(size), hosts=1, per_host=int(size), topology=None, kind=None)
    if family not in KINDS:
        raise UserError(f'config.chip = {name!r}: there is no such kind; allowed: {", ".join((*KINDS, *GPUS))}, each with a size')
    kind = KINDS[family]
    chips, rest = divmod(int(size), kind.counted)
    if rest or chips not in kind.shapes:
        sizes = ', '.join(f'{family}-{chips * kind.counted}' for chips in kind.shapes)
        raise UserError(f'config.chip = {name!r}: there is no such size; allowed: {sizes}')
    per_host = chips if kind.shapes is FLAT and chips <= 8 else 4
    return Slice(name=name, family=family, chips=chips, hosts=chips // per_host, per_host=per_host, topology=kind.shapes[chips], kind=kind)
