"""The forms of a causal convolution agree: 3D, frame by frame, taps as channels."""
import jax
import numpy as np
import pytest

from tqd_jax.latents.wan_vae import convolve


@pytest.mark.parametrize('frames', [1, 2, 5])
def test_every_form_is_the_3d_convolution(frames):
    """At float64 to rounding, with frames before; scipy says what a convolution is."""
    from scipy.ndimage import correlate

    rng = np.random.default_rng(0)
    kernel, bias, x, state = (rng.standard_normal(shape) for shape in ((3, 3, 3, 4, 5), (5,), (2, frames, 6, 7, 4), (2, 2, 6, 7, 4)))
    seen = np.concatenate([state, x], axis=1)
    expected = np.zeros((2, frames, 6, 7, 5)) + bias
    for n, c, o in np.ndindex(2, 4, 5):  # the filter's origin is its last frame
        expected[n, ..., o] += correlate(seen[n, ..., c], kernel[..., c, o], mode='constant', origin=(1, 0, 0))[2:]
    with jax.enable_x64(True):
        for form in (convolve._whole, convolve._frame_by_frame, convolve._taps_as_channels):
            np.testing.assert_allclose(jax.jit(form)(kernel, bias, x, state), expected, atol=1e-12)


@pytest.mark.parametrize(('channels', 'loops'), [(convolve.NARROW, 0), (convolve.NARROW + 1, 1)])
def test_narrow_layers_have_no_loop_over_frames_on_a_cpu(channels, loops):
    params = {'kernel': np.zeros((3, 3, 3, channels, 2), np.float32), 'bias': np.zeros(2, np.float32)}
    text = jax.jit(convolve.causal_conv).lower(params, np.zeros((1, 4, 3, 3, channels), np.float32)).as_text()
    assert ('stablehlo.while' in text) == bool(loops)
