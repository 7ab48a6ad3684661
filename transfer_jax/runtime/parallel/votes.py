"""One decision of all processes at every step of a loop: whether to stop."""
import collections

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from transfer_jax.runtime.parallel.mesh import AXES, replicated

LAG = 2  # steps from a vote to the decision: no step waits for it


class Votes:
    """Whether any process asked for something, answered at the same step in all of them; a process alone has its answer at once.

        votes = Votes(mesh)
        for step in ...:
            if votes(stop.requested): ...  # every process calls it at every step
    """

    def __init__(self, mesh: Mesh):
        """For the processes whose devices a mesh has."""
        self._mesh, self._cast = mesh, collections.deque()
        self._any = jax.jit(lambda votes: votes.max(), out_shardings=replicated(mesh) if jax.process_count() > 1 else None)

    def __call__(self, asked: bool) -> bool:
        """Casts this process's vote of a step; whether any process asked LAG steps before."""
        if jax.process_count() == 1:
            return asked
        each = NamedSharding(self._mesh, PartitionSpec(AXES))  # devices that share rows may be of two processes, which vote apart
        votes = jax.make_array_from_callback((self._mesh.size,), each, lambda _: np.full(1, asked, np.int32))
        self._cast.append(self._any(votes))
        return len(self._cast) > LAG and bool(self._cast.popleft())
