"""Blocks of splash attention by kind of chip and lengths: as a search on a chip found them, else a rule that pads little."""
import dataclasses

LANES = 128  # of a TPU's registers: the least block
BLOCKS = (1024, 512, 256, LANES)
COMPUTE = 512  # keys of a block that are held against its queries at once


@dataclasses.dataclass(frozen=True)
class Tiles:
    """Queries, keys, and keys that are computed at once, of a block: forward, of the gradients of keys and values, and of queries."""
    forward: tuple[int, int, int]
    dkv: tuple[int, int, int]
    dq: tuple[int, int]

    @property
    def queries(self) -> int:
        """What the padded number of queries is a multiple of."""
        return max(self.forward[0], self.dkv[0], self.dq[0])

    @property
    def keys(self) -> int:
        """What the padded number of keys is a multiple of."""
        return max(self.forward[1], self.dkv[1], self.dq[1])


# the kind of a chip -> Tiles. Near what others published for it (v6e forward: 3024, 2048, 1024; v5p backward: dq 1024, 3072), with the
# rule's for the other pass, and smaller where the published ones want more scoped memory than the compiler gives without a flag. They
# compile without one, forward and backward, for 12 and 40 heads and 32,760 tokens, 10 and 40 heads and 75,600; they were not measured here.
# benchmarks/wan/tiles.py searches on a chip.
TABLE = {
    'TPU v6 lite': Tiles((2048, 2048, 1024), (1024, 1024, 512), (1024, 1024)),
    'TPU v5': Tiles((1024, 1024, 512), (1024, 3072, 256), (1024, 1536)),
}


def tiles(queries: int, keys: int, chip: str | None = None) -> Tiles:
    """The Tiles of attention of so many queries to so many keys: those of TABLE where they pad both by at most a sixteenth.

    chip: device_kind of a device, such as 'TPU v5'; None for none in particular.
    """
    found = TABLE.get(chip)
    if found is not None and pads_little(queries, found.queries) and pads_little(keys, found.keys):
        return found
    q, kv = block(queries), block(keys)
    compute = min(kv, COMPUTE)
    return Tiles((q, kv, compute), (q, kv, compute), (q, kv))


def block(length: int) -> int:
    """The largest of BLOCKS that pads a length by at most a sixteenth; the least one where none does."""
    return next((size for size in BLOCKS if pads_little(length, size)), LANES)


def pads_little(length: int, size: int) -> bool:
    """Whether whole blocks of a size pad a length by at most a sixteenth."""
    return -length % size <= length // 16
