"""One decision of all processes at every step of a loop: whether to stop."""
import collections

import jax
import numpy as np
from jax.sharding import Mesh

from transfer_jax.runtime.parallel.mesh import batch_sharding, replicated

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
        sharding = batch_sharding(self._mesh)
        votes = np.full(len(sharding.addressable_devices), asked, np.int32)
        self._cast.append(self._any(jax.make_array_from_process_local_data(sharding, votes)))
        return len(self._cast) > LAG and bool(self._cast.popleft())
