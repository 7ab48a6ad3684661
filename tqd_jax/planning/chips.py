"""Rates of chips, each with the public page that it is from, and what share of them training has been seen to reach."""
import dataclasses


@dataclasses.dataclass(frozen=True, kw_only=True)
class Chip:
    """One kind of chip.

    name: of topologies. platform: 'tpu' or 'gpu'. flops: dense bfloat16 peak, FLOP/s a chip. hbm: GiB a chip; bandwidth: of that, B/s.
    link: B/s that a chip sends to the others of its slice or host over all its links, half of what is published as bidirectional; network:
    B/s that it sends between slices or hosts.
    mfu: share of the peak that training reached, by model FLOPs without recomputation; published: where that is from; measured: whether it
    is of this chip. axes: of a topology. example: a topology. devices: of JAX in a chip.
    """
    name: str
    platform: str
    flops: float
    hbm: float
    bandwidth: float
    link: float
    network: float
    mfu: float
    published: str
    measured: bool
    axes: int
    example: str
    devices: int = 1


V5P = 'maxdiffusion, Wan 2.1 14B, 720p x 81, 4 x v5p: 36.0 s a step'
H100 = 'NeMo, Wan 14B, 37,440 tokens, 128 x H100: 325.8 TFLOP/s'
GB, T = 1e9, 1e12

# TPU: https://cloud.google.com/tpu/docs/v4, v5e, v5p, v6e and tpu7x, tables "system architecture": peak compute (bf16), HBM capacity and
# bandwidth, inter-chip interconnect (bidirectional: v5p and tpu7x 1200 GB/s, v6e 800). hbm is what libtpu leaves to programs, where it has
# said so in a refusal. Between slices a chip has its share of the host's or pod's network: 50 Gbit/s of v4 and v5p, 25 of v5e (6.4 Tbit/s
# for 256 chips), 100 of v6e (25.6 Tbit/s) and tpu7x.
# GPU: https://www.nvidia.com/en-us/data-center/ a100, h100, h200, "technical specifications" (SXM, dense: half of "with sparsity"); links
# are NVLink's in one direction, networks one 400 Gbit/s adapter a GPU (200 for A100), as in DGX systems.
CHIPS = {chip.name: chip for chip in (
    Chip(name='v4', platform='tpu', flops=275 * T, hbm=30.5, bandwidth=1228 * GB, link=300 * GB, network=6 * GB, mfu=0.296,
         published=V5P, measured=False, axes=3, example='v4:2x2x1', devices=2),
    Chip(name='v5e', platform='tpu', flops=197 * T, hbm=15.75, bandwidth=819 * GB, link=200 * GB, network=3 * GB, mfu=0.296,
         published=V5P, measured=False, axes=2, example='v5e:2x2'),
    Chip(name='v5p', platform='tpu', flops=459 * T, hbm=95.74, bandwidth=2765 * GB, link=600 * GB, network=6 * GB, mfu=0.296,
         published=V5P, measured=True, axes=3, example='v5p:2x2x1'),
    Chip(name='v6e', platform='tpu', flops=918 * T, hbm=31.25, bandwidth=1640 * GB, link=400 * GB, network=12 * GB, mfu=0.296,
         published=V5P, measured=False, axes=2, example='v6e:2x4'),
    Chip(name='tpu7x', platform='tpu', flops=2307 * T, hbm=189.5, bandwidth=7380 * GB, link=600 * GB, network=12 * GB, mfu=0.333,
         published='maxdiffusion, an open change, Wan 2.2 14B: 384 TFLOP/s a device', measured=True, axes=3, example='tpu7x:2x2x1',
         devices=2),
    Chip(name='gpu', platform='gpu', flops=989 * T, hbm=79.0, bandwidth=3350 * GB, link=450 * GB, network=50 * GB, mfu=0.329,
         published=H100, measured=False, axes=1, example='gpu:1'),  # of no name: the rates are an H100's
    Chip(name='a100', platform='gpu', flops=312 * T, hbm=79.0, bandwidth=2039 * GB, link=300 * GB, network=25 * GB, mfu=0.329,
         published=H100, measured=False, axes=1, example='a100:8'),
    Chip(name='h100', platform='gpu', flops=989 * T, hbm=79.0, bandwidth=3350 * GB, link=450 * GB, network=50 * GB, mfu=0.329,
         published=H100, measured=True, axes=1, example='h100:8'),
    Chip(name='h200', platform='gpu', flops=989 * T, hbm=139.0, bandwidth=4800 * GB, link=450 * GB, network=50 * GB, mfu=0.329,
         published=H100, measured=False, axes=1, example='h200:8'),
)}
