"""Kernels stored in 8 bits: values and one scale for each output channel, W = values * scale."""
import jax.numpy as jnp
import ml_dtypes
import numpy as np

LARGEST = {np.dtype(np.int8): 127.0, np.dtype(ml_dtypes.float8_e4m3fn): 448.0}


def quantise(kernel, dtype):
    """(values of `dtype` [in, out], scale float32 [1, out]) of a kernel [in, out]: scale = max |w| / 127 (int8) or 448 (float8_e4m3fn).

    Values are w / scale, rounded to the nearest (ties to even). The maximum is taken over `in`; a channel of zeros has scale 1.
    """
    scale = channel_scale(kernel, dtype)
    return rounded(kernel, scale, dtype), scale


def channel_scale(kernel, dtype):
    """The scale float32 [1, out] of quantise."""
    kernel = np.asarray(kernel, np.float32)  # in bfloat16 NumPy takes many times longer
    largest = np.maximum(np.max(kernel, axis=0, keepdims=True), -np.min(kernel, axis=0, keepdims=True))
    return np.where(largest == 0, np.float32(1), largest / np.float32(LARGEST[np.dtype(dtype)]))


def rounded(kernel, scale, dtype):
    """The values of quantise at a given scale, of any rows of the kernel."""
    dtype = np.dtype(dtype)
    values = np.asarray(kernel, np.float32) / scale
    np.clip(values, -LARGEST[dtype], LARGEST[dtype], out=values)
    return (np.rint(values, out=values) if dtype == np.int8 else values).astype(dtype)


def dequantise(values, scale):
    """values * scale in float32."""
    return np.asarray(values).astype(np.float32) * np.asarray(scale)


def is_quantised(dtype):
    """Whether a kernel of this dtype needs a scale."""
    return not jnp.issubdtype(dtype, jnp.floating) or np.dtype(dtype).itemsize == 1
