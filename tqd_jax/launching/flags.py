"""Flags of the TPU compiler by chip, each with its reason; launch files set them in LIBTPU_INIT_ARGS, where the user sees them.

A flag that libtpu does not know ends the program at its start, so the lists are of one chip each: what one chip gains by, another may
not have. A list for tpu7x that moves collectives to its SparseCores is in use elsewhere, and hangs a v5p of 2x2x2: none of it is here.
tests/tqd_jax/launching holds that libtpu, where it is installed, takes each list for its chip.
"""
import dataclasses

from tqd_jax.launching.chips import Slice


@dataclasses.dataclass(frozen=True)
class Flag:
    """One flag and why it is set."""
    text: str
    reason: str


FUSION = (
    Flag('--xla_tpu_enable_async_collective_fusion=true', 'a collective runs inside the fusion that computes meanwhile'),
    Flag('--xla_tpu_enable_async_collective_fusion_fuse_all_gather=true', 'so do all-gathers, by which FSDP collects parameters'),
    Flag('--xla_tpu_enable_async_collective_fusion_multiple_steps=true', 'a long collective is spread over several fusions'),
    Flag('--xla_tpu_overlap_compute_collective_tc=true', 'the core computes while a collective is under way'),
)
ALL_TO_ALL = (Flag('--xla_tpu_enable_async_all_to_all=true', 'the all-to-all of context parallelism does not stop the core'),)
COLLECTIVES = (*FUSION, *ALL_TO_ALL)


def vmem(kib):
    """The flag of on-chip memory that one kernel may take."""
    return Flag(f'--xla_tpu_scoped_vmem_limit_kib={kib}', 'larger tiles of attention and of fusions than the default limit lets in')


ONE_CHIP = {'v5litepod': (), 'v5p': (vmem(65536),), 'v6e': (vmem(98304),), 'tpu7x': ()}


def flags_of(slice_: Slice) -> tuple[Flag, ...]:
    """The flags of a slice of a TPU: of its chip, and of collectives where there are several chips; none for a GPU."""
    if slice_.kind is None:
        return ()
    return (*ONE_CHIP[slice_.family], *(COLLECTIVES if slice_.chips > 1 else ()))


def environment(slice_: Slice) -> dict[str, str]:
    """{variable: value} that a launch file sets for the slice."""
    text = ' '.join(flag.text for flag in flags_of(slice_))
    return {'LIBTPU_INIT_ARGS': text} if text else {}
