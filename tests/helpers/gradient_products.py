"""Products of gradients that are given as vectors."""
import numpy as np

from tqd_jax.gradients.products import Products

K, S, D = 8, 3, 40


def products_of(vectors):
    """The Products of given gradients [K, ..., S, D], by their definition; one group, which is all of them."""
    own = np.einsum('k...si,k...ri->k...sr', vectors, vectors)
    cross = np.einsum('k...si,...ri->k...sr', vectors, vectors.sum(0))
    return Products(cross=cross[..., None, :, :], own=own[..., None, :, :])
