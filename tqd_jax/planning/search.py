"""The fastest way to lay a config's training step over a topology that fits its memory: by the roofline first, then by compiling."""
import dataclasses
import functools
import math
from collections.abc import Callable

from tqd_jax.config import Config
from tqd_jax.planning.candidates import Candidate, candidates, least_batch
from tqd_jax.planning.compiled import Kept, Memory, options_of
from tqd_jax.planning.cost import Times, times_of, work_of
from tqd_jax.planning.estimate import estimate, parameters
from tqd_jax.planning.programs import Planned, describe, executed_as, mesh_of, planned, train_program
from tqd_jax.planning.topology import Topology, stand_in

MARGIN = 1.25  # by how much an estimate of memory may be above what there is for a program to be compiled all the same


@dataclasses.dataclass(frozen=True, kw_only=True)
class Choice:
    """A candidate on every bucket of the config.

    times, memory: by bucket, in its order; memory holds None where a bucket was not compiled, since another did not fit. fits: all do.
    estimated: GiB a device before compiling, of the bucket with most tokens.
    """
    candidate: Candidate
    times: tuple[Times, ...]
    estimated: float
    memory: tuple[Memory | None, ...] = ()
    fits: bool = False

    @property
    def step(self) -> float:
        """Seconds of a step, buckets in equal shares."""
        return sum(times.step for times in self.times) / len(self.times)

    @property
    def order(self) -> tuple[float, float]:
        """The faster first."""
        return self.step, sum(times.order[1] for times in self.times)

    @property
    def need(self) -> float:
        """GiB a device of the bucket that needs most, as far as compiled."""
        return max((memory.whole for memory in self.memory if memory is not None), default=self.estimated)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Answer:
    """What was found for a topology. best: the fastest Choice that fits, or, where none does, the one that needs least of those that were
    compiled. tried: all that were compiled. skipped: candidates that were faster and given up by their estimate. batch: the global batch,
    above the config's where that does not spread over the devices."""
    topology: Topology
    buckets: tuple
    batch: int
    best: Choice
    tried: tuple[Choice, ...]
    skipped: int
    source: str

    @property
    def over(self) -> float:
        """GiB a device that are lacking, 0 where it fits."""
        return 0.0 if self.best.fits else self.best.need - self.topology.hbm


def search(config: Config, topology: Topology, devices: list, kept: Kept, say: Callable[[str], None], mfu: float | None = None) -> Answer:
    """The Answer of a checked config for a topology's devices. say: is called with a line before each program that is compiled."""
    shapes = functools.cache(lambda axes: planned(config, mesh_of(dict(axes), devices), stand_in(topology, devices)))
    base = shapes((('data', topology.devices), ('fsdp', 1), ('context', 1)))
    latents, tokens = sizes_of(base, config.data.buckets)
    limits = base.foundation.model.heads, tokens, topology.slices
    batch = least_batch(topology.devices, config.train.batch, *limits)
    choices = [_predicted(candidate, shapes(tuple(candidate.axes.items())), latents, topology, mfu)
               for candidate in candidates(topology.devices, batch, *limits)]
    tried, skipped = _compile(sorted(choices, key=lambda choice: choice.order), config, base.foundation.model, topology, devices, kept, say)
    best = next((choice for choice in tried if choice.fits), None) or min(tried, key=lambda choice: choice.need)
    return Answer(topology=topology, buckets=tuple(config.data.buckets), batch=batch, best=best, tried=tuple(tried), skipped=skipped,
                  source=getattr(base.foundation, 'source', f'the preset {config.model.preset}'))


def sizes_of(run: Planned, buckets) -> tuple[list, tuple]:
    """(shapes of a latent, numbers of tokens) by bucket (width, height, frames)."""
    latents = [run.foundation.codec.latent_shape(frames, height, width) for width, height, frames in buckets]
    return latents, tuple(math.prod(run.foundation.model.grid(*latent[:3])) for latent in latents)


def _predicted(candidate, run, latents, topology, mfu):
    model, state, frozen = run.foundation.model, run.abstract_state, run.abstract_frozen
    counts = parameters(state.trained), parameters(frozen)
    times = tuple(times_of(work_of(model, latent, candidate, *counts, topology), topology, mfu) for latent in latents)
    return Choice(candidate=candidate, times=times,
                  estimated=max(estimate(state, frozen, model, latent, candidate) for latent in latents))


def _compile(choices, config, model, topology, devices, kept, say):
    """(Choices with their memory, the faster first, until one fits; how many were given up). Where every estimate is too large, that with
    the least is compiled, to know by how much."""
    tried, skipped, off = [], 0, {}
    for choice in choices:
        if choice.estimated * off.get(choice.candidate.remat, 1 / MARGIN) > topology.hbm:
            skipped += 1
            continue
        tried.append(_compiled(choice, config, model, topology, devices, kept, say))
        if tried[-1].fits:
            return tried, skipped
        off[choice.candidate.remat] = tried[-1].need / choice.estimated
    if not tried:
        least = min(choices, key=lambda choice: choice.estimated)
        tried, skipped = [_compiled(least, config, model, topology, devices, kept, say)], skipped - 1
    return tried, skipped


def _compiled(choice, config, model, topology, devices, kept, say):
    """The Choice with the memory of its buckets, that with most pixels first, up to one that does not fit."""
    config = executed_as(config, choice.candidate)
    mesh, memory = mesh_of(choice.candidate.axes, devices), {}
    buckets = [tuple(bucket) for bucket in config.data.buckets]
    for bucket in sorted(buckets, key=math.prod, reverse=True):
        parts = describe('train', config, model, topology, devices, bucket)
        if kept.find(parts) is None:
            say(f'compiling {"x".join(map(str, bucket))} for {topology.name}: {choice.candidate}, estimated {choice.estimated:.1f} GiB')
        lower = functools.partial(train_program, config, mesh, bucket, stand_in(topology, devices))
        memory[bucket] = kept.get(parts, lower, options_of(topology))
        if not has_room(memory[bucket], topology):
            break
    fits = len(memory) == len(set(buckets)) and all(has_room(one, topology) for one in memory.values())
    return dataclasses.replace(choice, memory=tuple(memory.get(bucket) for bucket in buckets), fits=fits)


def has_room(memory: Memory, topology: Topology) -> bool:
    """Whether a program fits a device: the sum decides. A TPU's compiler, asked for no search (QUICK), does not refuse all that is above
    the chip's memory: it compiled a sum of 18.2 GiB for a v5e of 15.75."""
    return not memory.refused and memory.whole <= topology.hbm
