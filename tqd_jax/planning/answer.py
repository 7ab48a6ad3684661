"""The answer for one topology: the training step, and on its mesh the programs beside it."""
import dataclasses
import functools
import math
import pathlib
from collections.abc import Callable, Sequence

from tqd_jax.config import Config
from tqd_jax.models.wan.config import flops_per_example
from tqd_jax.planning.beside import sampling_program, text_program, vae_program
from tqd_jax.planning.compiled import Kept, Memory, options_of
from tqd_jax.planning.programs import Planned, describe, executed_as, mesh_of, planned
from tqd_jax.planning.search import Answer, Choice, has_room, search
from tqd_jax.planning.sizes import checked, on_latents
from tqd_jax.planning.topology import Topology, devices_of, stand_in

PROGRAMS = ('train', 'sample', 'vae', 'text')


@dataclasses.dataclass(frozen=True, kw_only=True)
class Beside:
    """A program beside training, of the bucket with most pixels. fits: a device has room. seconds: of a clip by the rates, or None."""
    name: str
    memory: Memory
    fits: bool
    seconds: float | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class Planning:
    """All that was found for a topology. training: None where it was not asked for. stands_in: the memory is that of CPUs in place of
    GPUs. mfu: share of the peak that times are computed with, by FLOPs without recomputation; own: it is the user's."""
    topology: Topology
    training: Answer | None
    beside: tuple[Beside, ...]
    stands_in: bool
    mfu: float
    own: bool


def answer(config: Config, topology: Topology, folder: pathlib.Path, *, programs: Sequence[str], mfu: float | None,
           say: Callable[[str], None]) -> Planning:
    """The Planning of a config whose keys are checked here. folder: of what the compiler said. Raises UserError."""
    config, devices, kept = checked(config), devices_of(topology), Kept(folder)
    training = search(config, topology, devices, kept, say, mfu) if 'train' in programs else None
    choice = training.best if training else None
    names = [name for name in programs if name != 'train' and (name == 'sample' or on_latents(config))]
    beside = [one for name in names for one in BESIDE[name](config, topology, devices, kept, say, choice, mfu)]
    return Planning(topology=topology, training=training, beside=tuple(beside), stands_in=stand_in(topology, devices) is not None,
                    mfu=topology.chip.mfu if mfu is None else mfu, own=mfu is not None)


def _sample(config, topology, devices, kept, say, choice: Choice | None, mfu):
    """One guided trajectory, on the mesh of training where that was planned, else with parameters over all devices."""
    axes = choice.candidate.axes if choice else {'data': 1, 'fsdp': topology.devices, 'context': 1}
    config = executed_as(config, choice.candidate) if choice else config
    mesh, platform, bucket = mesh_of(axes, devices), stand_in(topology, devices), largest(config)
    run = planned(config, mesh, platform)
    parts = describe('sample', config, run.foundation.model, topology, devices, bucket) | {
        'sample': {name: getattr(config.sample, name) for name in ('batch', 'clips', 'solver', 'steps')}, 'mesh': axes}
    memory = _kept(kept, parts, lambda: sampling_program(config, mesh, bucket, platform), topology, say)
    return [Beside(name='sample', memory=memory, fits=has_room(memory, topology), seconds=seconds_a_clip(run, bucket, topology, mfu))]


def seconds_a_clip(run: Planned, bucket: tuple, topology: Topology, mfu: float | None = None) -> float:
    """Of all steps of a sample with guidance, the model twice a step, by the devices that have a part of it: those of a context, and of
    the rows of a batch that they divide."""
    settings, (width, height, frames), shape = run.foundation.sampling(), bucket, run.mesh.shape
    forward = flops_per_example(run.foundation.model, run.foundation.codec.latent_shape(frames, height, width))
    evaluations = settings.steps * (2 if settings.guidance > 1 else 1) * (2 if settings.solver == 'heun' else 1)
    sample = run.config.sample
    devices = shape['context'] * math.gcd(sample.batch or sample.clips, shape['data'] * shape['fsdp'])
    return forward * evaluations / (devices * topology.chip.flops / topology.chip.devices * (topology.chip.mfu if mfu is None else mfu))


def _vae(config, topology, devices, kept, say, choice, mfu):
    mesh, bucket = mesh_of({'data': 1, 'fsdp': 1, 'context': 1}, devices[:1]), largest(config)
    run = planned(config, mesh, stand_in(topology, devices))
    found = []
    for name, encode in (('vae_encode', True), ('vae_decode', False)):
        parts = describe(name, config, run.foundation.model, topology, devices, bucket) | {'mesh': 1, 'train': None, 'model': None}
        lower = functools.partial(vae_program, run.foundation.codec, mesh, bucket, encode=encode)
        memory = _kept(kept, parts, lower, topology, say)
        found.append(Beside(name=name, memory=memory, fits=has_room(memory, topology)))
    return found


def _text(config, topology, devices, kept, say, choice, mfu):
    mesh = mesh_of({'data': 1, 'fsdp': 1, 'context': 1}, devices[:1])
    model = planned(config, mesh).foundation.model
    parts = {'program': 'text', 'topology': topology.name, 'kind': devices[0].device_kind, 'length': model.text_len,
             'dtype': config.wan.text_dtype}
    memory = _kept(kept, parts, functools.partial(text_program, mesh, length=model.text_len, dtype=config.wan.text_dtype), topology,
                   say)
    return [Beside(name='text', memory=memory, fits=has_room(memory, topology))]


BESIDE = {'sample': _sample, 'vae': _vae, 'text': _text}


def _kept(kept, parts, lower, topology, say):
    if kept.find(parts) is None:
        say(f'compiling {parts["program"]} for {parts["topology"]}')
    return kept.get(parts, lower, options_of(topology))


def largest(config: Config) -> tuple:
    """The bucket with most pixels."""
    return max(config.data.buckets, key=math.prod)
