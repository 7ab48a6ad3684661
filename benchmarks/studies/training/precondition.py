"""Preconditioning by patches: the best linear guess of every patch, which the network corrects."""
import jax.numpy as jnp
import numpy as np

from tqd_jax.models.wan.model import patchify, unpatchify


def patch_statistics(latents, patch):
    """(mean [P], basis [P, P], std [P]) of the patches of latents float [N, F, H, W, C]: principal axes as columns, the largest first.

    P = pf ph pw C. Standard deviations are at least 1e-3 of the largest.
    """
    patches = np.asarray(patchify(np.asarray(latents, np.float32), patch), np.float64).reshape(-1, np.prod(patch) * latents.shape[-1])
    variance, basis = np.linalg.eigh(np.cov(patches, rowvar=False))
    std = np.sqrt(np.maximum(variance[::-1], 1e-6 * variance[-1]))
    return tuple(x.astype(np.float32) for x in (patches.mean(0), basis[:, ::-1], std))


def precondition_patches(model, path, patch, mean, basis, std):
    """tqd_jax.diffusion.path.precondition with a mean and a standard deviation for every principal axis of a patch instead of one for
    all pixels.

    Along axis k, of mean m and deviation s once noised to v = alpha^2 s^2 + sigma^2, the best linear prediction of a x_0 + b eps is

        a m + (a alpha s^2 + b sigma) / v (x_t - alpha m),   and what is left has standard deviation   s |a sigma - b alpha| / sqrt(v).

    The network sees x_t - alpha m over the root of the mean of v, so that what is strong stays strong, and gives the rest in units of its
    standard deviation along each axis. Most axes of a patch hold little but noise: a network whose tokens are narrower than a patch has
    values cannot carry that noise to its output, and need not.
    """
    def predict(trained, frozen, x, t, text):
        grid = tuple(n // p for n, p in zip(x.shape[1:4], patch, strict=True))
        column, row = t.reshape(-1, 1, 1), lambda value: jnp.asarray(value).reshape(1, 1, -1)
        alpha, sigma, _, _ = path.coefficients(column)
        a, b = path.target_coefficients(column)
        s, m = row(std), row(mean @ basis)
        v = alpha**2 * s**2 + sigma**2
        centred = patchify(x, patch) @ basis - alpha * m
        seen = unpatchify((centred / jnp.sqrt(v.mean(-1, keepdims=True))) @ basis.T, grid, patch)
        rest = patchify(model(trained, frozen, seen, t, text), patch) @ basis
        guess = a * m + (a * alpha * s**2 + b * sigma) / v * centred
        return unpatchify((guess + s * jnp.abs(a * sigma - b * alpha) / jnp.sqrt(v) * rest) @ basis.T, grid, patch)

    return predict
