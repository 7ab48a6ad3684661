"""What the backward pass of a block computes again, and what it finds on the device or in the host's memory."""
from collections.abc import Callable

import jax
from jax.ad_checkpoint import checkpoint_name

KINDS = ('none', 'dots', 'full', 'attention', 'offload')
ATTENTION, INPUT = 'attention', 'input'  # names of values: outputs of attention, and what its backward pass needs; the input of a block


def recomputed(block: Callable, kind: str) -> Callable:
    """block(x, layer) whose backward pass computes again what `kind` says.

    'none': nothing. 'dots': all but the products with weights. 'full': all from the block's input. 'attention': all but the outputs of
    attention, the dearest to compute. 'offload': all, from inputs that wait in the host's memory.
    """
    if kind == 'none':
        return block
    policies = {'dots': jax.checkpoint_policies.dots_with_no_batch_dims_saveable, 'full': None,
                'attention': jax.checkpoint_policies.save_only_these_names(ATTENTION),
                'offload': jax.checkpoint_policies.save_and_offload_only_these_names(
                    names_which_can_be_saved=[], names_which_can_be_offloaded=[INPUT], offload_src='device', offload_dst='pinned_host')}
    inner = (lambda x, layer: block(checkpoint_name(x, INPUT), layer)) if kind == 'offload' else block
    return jax.checkpoint(inner, policy=policies[kind], prevent_cse=False)


def kept(x: jax.Array) -> jax.Array:
    """x, which the kind 'attention' keeps for the backward pass."""
    return checkpoint_name(x, ATTENTION)
