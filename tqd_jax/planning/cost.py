"""How long a training step takes by the roofline: FLOPs, bytes of the chip's memory and bytes between chips, over the chip's rates."""
import dataclasses
import math

from tqd_jax.models.wan.config import WanConfig, attention_flops, flops_per_example, training_flops_per_example
from tqd_jax.planning.candidates import Candidate
from tqd_jax.planning.topology import Topology

RECOMPUTED = 4 / 3  # all FLOPs over those without recomputation, where whole blocks are computed again
HALF, FLOAT = 2, 4  # bytes of bfloat16, float32
ACTIVATIONS = 40  # reads and writes of a token's width that a block's forward pass makes, beside its products' weights
HOST = 16e9  # B/s a chip to the host's memory, one way: PCIe 3 x 16


@dataclasses.dataclass(frozen=True, kw_only=True)
class Work:
    """What one step does on one bucket. flops: of the model, all devices, without recomputation; extra: FLOPs of the recomputation. Bytes a
    chip: memory, of the chip's HBM; links, between chips of a slice or host; network, between slices; host, to its memory and back."""
    flops: float
    extra: float
    memory: float
    links: float
    network: float = 0.0
    host: float = 0.0


@dataclasses.dataclass(frozen=True, kw_only=True)
class Times:
    """Seconds of a step by part; the parts overlap, so the step takes as long as the longest."""
    compute: float
    memory: float
    links: float
    network: float
    host: float

    @property
    def step(self) -> float:
        """Of a step."""
        return max(dataclasses.astuple(self))

    @property
    def order(self) -> tuple[float, float]:
        """By which candidates are ordered: the step, then the sum of the parts, as nothing overlaps entirely."""
        return round(self.step, 6), sum(dataclasses.astuple(self))


def work_of(model: WanConfig, latent: tuple[int, ...], candidate: Candidate, trained: int, frozen: int, topology: Topology) -> Work:
    """The Work of a training step. latent: shape of an example. trained, frozen: numbers of parameters."""
    tokens = math.prod(model.grid(*latent[:3]))
    local = tokens * candidate.rows / candidate.context  # tokens of a device in a slice
    passes = (3 + (candidate.remat != 'none')) * candidate.accumulate  # forward, recomputation, twice backward
    chips = topology.chip.devices
    shards = candidate.fsdp * candidate.context
    weights = passes * HALF * (trained + frozen) + FLOAT * trained * (2 * candidate.accumulate + 10) / shards
    activations = passes * model.layers * local * model.dim * HALF * ACTIVATIONS
    links, network = _between(model, candidate, local, trained, frozen, topology)
    host = 2 * HALF * model.layers * local * model.dim * candidate.accumulate if candidate.remat == 'offload' else 0.0
    flops = training_flops_per_example(model, latent, trained / (trained + frozen))
    return Work(flops=flops * candidate.batch, extra=recomputed(model, latent, candidate.remat) * candidate.batch,
                memory=chips * (weights + activations), links=chips * links, network=chips * network, host=chips * host)


def recomputed(model: WanConfig, latent: tuple[int, ...], remat: str) -> float:
    """FLOPs of one example that the backward pass computes again, by the kind of recomputation."""
    forward, attention = flops_per_example(model, latent), attention_flops(model, latent)
    return {'none': 0.0, 'dots': attention, 'attention': forward - attention}.get(remat, forward)


def _between(model, candidate, local, trained, frozen, topology):
    """(bytes over links, bytes over the network) that a device sends in a step.

    Parameters are split over fsdp and context: they are gathered in the compute dtype for the forward and the backward pass of every slice,
    and gradients of trained ones reduced in the dtype `reduce`; over `data` those are summed. Context: four all-to-all of a token's width a
    block (queries, keys, values, outputs), as many backward, and as many again where anything is recomputed: also where outputs of
    attention are kept, since its backward pass needs queries, keys and values, and the product after it the exchanged output.
    """
    share, shards = (lambda parts: (parts - 1) / parts), candidate.fsdp * candidate.context
    gradient = HALF if model.reduce == 'bfloat16' else FLOAT
    gathered = 2 * HALF * (trained + frozen) * share(shards) * candidate.accumulate
    reduced = gradient * trained * share(shards) * candidate.accumulate
    summed = 2 * gradient * trained / shards * share(candidate.data)
    passes = 2 + (candidate.remat != 'none')
    exchanged = passes * candidate.accumulate * 4 * model.layers * local * model.dim * HALF * share(candidate.context)
    between = 2 * gradient * trained / shards * share(topology.slices)  # slices exchange gradients alone, over `data`
    return gathered + reduced + summed + exchanged, between


def times_of(work: Work, topology: Topology, mfu: float | None = None) -> Times:
    """The Times of a step. mfu: share of the peak by model FLOPs where whole blocks are recomputed; that of the chip's table by default."""
    chip = topology.chip
    reached = (chip.mfu if mfu is None else mfu) * RECOMPUTED  # by all FLOPs
    return Times(compute=(work.flops + work.extra) / (topology.chips * chip.flops * reached), memory=work.memory / chip.bandwidth,
                 links=work.links / usable(topology), network=work.network / chip.network, host=work.host / HOST)


def usable(topology: Topology) -> float:
    """B/s that a chip sends over the links that its slice has: along an axis one, for chips at its ends have no more, and two where the
    axis is a ring: all 16 chips of a side of a v5e or v6e pod; elsewhere all axes, where each is a multiple of 4."""
    chip = topology.chip
    if chip.platform == 'gpu':
        return chip.link if topology.chips <= 8 else chip.network
    flat = chip.axes == 2
    rings = [size == 16 if flat else all(side % 4 == 0 for side in topology.shape) for size in topology.shape]
    links = sum((size > 1) * (1 + ring) for size, ring in zip(topology.shape, rings, strict=True))
    return chip.link * max(links, 1) / (2 * chip.axes)
