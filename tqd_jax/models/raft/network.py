"""RAFT (Teed and Deng, 2020, arXiv:2003.12039): optical flow by recurrent look-ups among all-pairs correlations, as pure functions.

Parameters are nested dicts by torchvision's names, kernels [height, width, in, out]; what is in them says which network it is: the large
one has blocks of two convolutions, batch norms in its context encoder, two GRUs and a mask; the small one bottlenecks, one GRU, no mask.
"""
import math

import jax
import jax.numpy as jnp

LEVELS = 4  # of the correlation pyramid
STRIDE = 8  # pixels of the image a step of the flow's grid
EPSILON = 1e-5  # of both norms
MASK_SCALE = 0.25  # that the published weights were trained with


def raft(params, image1, image2, *, updates=12):
    """Flow float32 [B, H, W, 2], (x, y) in pixels: where in image2, from its own place, lies what image1 shows here.

    image1, image2: float32 [B, H, W, 3] in [-1, 1]; H and W are multiples of 8 and at least 64. A row's flow depends on its images alone.
    """
    features = encode(params['feature_encoder'], jnp.concatenate([image1, image2]), instance=True)
    return _flow(params, *jnp.split(features, 2), image1, updates)


def raft_clip(params, frames, *, updates=12):
    """Flow [F - 1, H, W, 2] from each of frames [F, H, W, 3] to the next, as raft has it; a frame of two pairs is encoded once."""
    features = encode(params['feature_encoder'], frames, instance=True)
    return _flow(params, features[:-1], features[1:], frames[:-1], updates)


def _flow(params, features1, features2, image1, updates):
    pyramid = correlation_pyramid(features1, features2)
    block = params['update_block']
    hidden_size = block['flow_head']['conv1']['weight'].shape[2]
    hidden, context = jnp.split(encode(params['context_encoder'], image1), [hidden_size], axis=-1)
    radius = _radius(block['motion_encoder']['convcorr1']['0']['weight'].shape[2])
    _, height, width, _ = features1.shape
    grid = jnp.stack(jnp.meshgrid(jnp.arange(width, dtype=jnp.float32), jnp.arange(height, dtype=jnp.float32)), axis=-1)[None]

    def update(state, _):
        hidden, flow = state
        return _updated(block, hidden, jax.nn.relu(context), look_up(pyramid, grid + flow, radius), flow), None

    start = jnp.tanh(hidden), jnp.zeros((*features1.shape[:3], 2), jnp.float32)
    (hidden, flow), _ = jax.lax.scan(update, start, length=updates)
    if 'mask_predictor' not in params:
        return upsample_bilinear(flow)
    mask = MASK_SCALE * conv(params['mask_predictor']['conv'], _layer(params['mask_predictor']['convrelu'], hidden))
    return upsample_convex(flow, mask)


def _radius(channels):
    """r of LEVELS (2 r + 1)^2 correlation features."""
    return (math.isqrt(channels // LEVELS) - 1) // 2


def conv(p, x, stride=1):
    """The convolution of x [B, H, W, C] with p's weight and bias; zeros around it, so that stride 1 keeps its size."""
    edges = [(size // 2, size // 2) for size in p['weight'].shape[:2]]
    out = jax.lax.conv_general_dilated(x, p['weight'], (stride, stride), edges, dimension_numbers=('NHWC', 'HWIO', 'NHWC'))
    return out + p['bias'][None, None, None]


def instance_norm(x):
    """Each image's channels of [B, H, W, C] with mean 0 and variance 1 over the image."""
    return (x - x.mean((1, 2), keepdims=True)) * jax.lax.rsqrt(x.var((1, 2), keepdims=True) + EPSILON)


def batch_norm(p, x):
    """The affine map of the last axis by the statistics that training left behind."""
    scale = p['weight'] * jax.lax.rsqrt(p['running_var'] + EPSILON)
    return x * scale[None, None, None] + (p['bias'] - p['running_mean'] * scale)[None, None, None]


def _normed(p, x, stride, instance):
    x = conv(p['0'], x, stride)
    if '1' in p:
        return batch_norm(p['1'], x)
    return instance_norm(x) if instance else x


def _layer(p, x, stride=1, instance=False):
    return jax.nn.relu(_normed(p, x, stride, instance))


def encode(p, images, instance=False):
    """Features [B, H / 8, W / 8, C] of images [B, H, W, 3]; instance: normalise every image by itself, as the feature encoder does."""
    x = _layer(p['convnormrelu'], images, 2, instance)
    for stage in ('layer1', 'layer2', 'layer3'):
        for block in ('0', '1'):
            x = _block(p[stage][block], x, instance)
    return conv(p['conv'], x)


def _block(p, x, instance):
    """relu(x + F(x)); the blocks that halve the picture are those that project x. Their 3 x 3 takes the stride, the first of two."""
    stride, bottleneck = 2 if 'downsample' in p else 1, 'convnormrelu3' in p
    y = _layer(p['convnormrelu1'], x, 1 if bottleneck else stride, instance)
    y = _layer(p['convnormrelu2'], y, stride if bottleneck else 1, instance)
    if bottleneck:
        y = _layer(p['convnormrelu3'], y, 1, instance)
    if stride == 2:
        x = _normed(p['downsample'], x, stride, instance)
    return jax.nn.relu(x + y)


def correlation_pyramid(features1, features2):
    """<f1, f2> / sqrt(C) of all pairs of places in [B, h, w, C]: [B, h, w, h, w], and its means over 2 x 2, 4 x 4, ... of the latter."""
    volume = jnp.einsum('bhwc,bijc->bhwij', features1, features2) / features1.shape[-1] ** 0.5
    pyramid = [volume]
    for _ in range(LEVELS - 1):
        *places, rows, columns = pyramid[-1].shape
        whole = pyramid[-1][..., :rows // 2 * 2, :columns // 2 * 2]
        pyramid.append(whole.reshape(*places, rows // 2, 2, columns // 2, 2).mean((-3, -1)))
    return pyramid


def look_up(pyramid, places, radius):
    """Correlations [B, h, w, LEVELS (2 r + 1)^2] around places [B, h, w, 2], (x, y), bilinear, 0 outside: level by level, x by x, y by y.

    Bilinear sampling is a product with hat functions max(0, 1 - |x - i|), of rows and of columns: matrix products, where a gather would
    leave an accelerator idle.
    """
    offsets = jnp.arange(-radius, radius + 1, dtype=jnp.float32)[None, None, None]
    windows = []
    for level, volume in enumerate(pyramid):
        x, y = (places[..., axis, None] / 2**level + offsets for axis in (0, 1))
        rows = jnp.einsum('bhwyi,bhwij->bhwyj', _hats(y, volume.shape[-2]), volume)
        windows.append(jnp.einsum('bhwxj,bhwyj->bhwxy', _hats(x, volume.shape[-1]), rows).reshape(*places.shape[:3], -1))
    return jnp.concatenate(windows, axis=-1)


def _hats(x, count):
    """Weights [..., count] of the samples 0, 1, ... in the value at x."""
    return jnp.maximum(0, 1 - jnp.abs(x[..., None] - jnp.arange(count, dtype=jnp.float32).reshape((1,) * x.ndim + (count,))))


def _updated(p, hidden, context, correlations, flow):
    x = jnp.concatenate([context, _motion_features(p['motion_encoder'], correlations, flow)], axis=-1)
    for _, unit in sorted(p['recurrent_block'].items()):  # along rows, then along columns; or one, square
        hidden = gru(unit, hidden, x)
    return hidden, flow + conv(p['flow_head']['conv2'], jax.nn.relu(conv(p['flow_head']['conv1'], hidden)))


def _motion_features(p, correlations, flow):
    correlations = _layer(p['convcorr1'], correlations)
    if 'convcorr2' in p:
        correlations = _layer(p['convcorr2'], correlations)
    features = _layer(p['convflow2'], _layer(p['convflow1'], flow))
    return jnp.concatenate([_layer(p['conv'], jnp.concatenate([correlations, features], axis=-1)), flow], axis=-1)


def gru(p, hidden, x):
    """The next hidden state [B, h, w, C] of a convolutional gated recurrent unit, from the one before and input x."""
    both = jnp.concatenate([hidden, x], axis=-1)
    z, r = jax.nn.sigmoid(conv(p['convz'], both)), jax.nn.sigmoid(conv(p['convr'], both))
    return (1 - z) * hidden + z * jnp.tanh(conv(p['convq'], jnp.concatenate([r * hidden, x], axis=-1)))


def upsample_bilinear(flow):
    """Flow [B, h, w, 2] on its grid -> [B, 8 h, 8 w, 2] in pixels, corner to corner."""
    rows, columns = (_hats(jnp.linspace(0, size - 1, STRIDE * size), size) for size in flow.shape[1:3])
    return STRIDE * jnp.einsum('yi,bijc,xj->byxc', rows, flow, columns)


def upsample_convex(flow, mask):
    """Flow [B, h, w, 2] on its grid -> [B, 8 h, 8 w, 2] in pixels: each a convex combination of the nine around it, softmax of mask.

    mask: [B, h, w, 9 * 8 * 8], logits by neighbour, row and column; neighbours outside are 0.
    """
    batch, height, width, _ = flow.shape
    weights = jax.nn.softmax(mask.reshape(batch, height, width, 9, STRIDE, STRIDE), axis=3)
    around = jnp.pad(STRIDE * flow, ((0, 0), (1, 1), (1, 1), (0, 0)))
    nine = jnp.stack([around[:, y:y + height, x:x + width] for y in range(3) for x in range(3)], axis=3)
    return jnp.einsum('bhwkyx,bhwkc->bhywxc', weights, nine).reshape(batch, STRIDE * height, STRIDE * width, 2)
