"""Ways to lay a training step over chips: every mesh, recomputation and number of slices that divides."""
import dataclasses

from tqd_jax.models.wan.config import CHOICES


@dataclasses.dataclass(frozen=True, kw_only=True)
class Candidate:
    """One way: the axes of the mesh, what the backward pass recomputes, the global batch and the slices that it is computed in."""
    data: int
    fsdp: int
    context: int
    remat: str
    batch: int
    accumulate: int

    @property
    def axes(self) -> dict:
        """{axis of the mesh: devices}."""
        return {'data': self.data, 'fsdp': self.fsdp, 'context': self.context}

    @property
    def devices(self) -> int:
        """Devices of the mesh."""
        return self.data * self.fsdp * self.context

    @property
    def rows(self) -> int:
        """Examples that a device computes at a time, alone or with the others of its context."""
        return self.batch // (self.data * self.fsdp * self.accumulate)

    def __str__(self):
        mesh = ' x '.join(f'{name} {size}' for name, size in self.axes.items() if size > 1) or 'one device'
        slices = f', {self.accumulate} slices' if self.accumulate > 1 else ''
        return f'{mesh}, remat {self.remat}, {self.rows} a slice{slices}' if slices else f'{mesh}, remat {self.remat}'


def candidates(devices: int, batch: int, heads: int, tokens: tuple[int, ...], slices: int = 1) -> list[Candidate]:
    """All Candidates of a global batch: data x fsdp x context is the number of devices, and data x fsdp x accumulate divides the batch.

    context divides the heads and the tokens of every bucket, since each device has whole heads in attention and whole tokens elsewhere.
    slices: of TPU chips, which divide data: between slices gradients alone are exchanged.
    """
    found = []
    for context in divisors(devices):
        if heads % context or any(count % context for count in tokens):
            continue
        for fsdp in divisors(devices // context):
            data = devices // context // fsdp
            if batch % (data * fsdp) or data % slices:
                continue
            found += [Candidate(data=data, fsdp=fsdp, context=context, remat=remat, batch=batch, accumulate=accumulate)
                      for accumulate in divisors(batch // (data * fsdp)) for remat in CHOICES['remat']]
    return found


def least_batch(devices: int, batch: int, heads: int, tokens: tuple[int, ...], slices: int = 1) -> int:
    """The least batch of at least `batch` that has candidates."""
    while not candidates(devices, batch, heads, tokens, slices):
        batch += 1
    return batch


def divisors(number: int) -> list[int]:
    """All divisors, ascending."""
    return [divisor for divisor in range(1, number + 1) if number % divisor == 0]
