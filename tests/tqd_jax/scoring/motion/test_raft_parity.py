"""RAFT's parts against torch's own operations: convolutions, norms, correlation pyramid, look-ups, both upsamplings, the recurrent unit."""
import jax.numpy as jnp
import numpy as np
import pytest

from tqd_jax.models.raft import network as raft

pytestmark = pytest.mark.parity


@pytest.fixture(scope='module')
def torch():
    return pytest.importorskip('torch')


def normal(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype('f')


def first(torch, x):
    """Channels last -> torch's channels first."""
    return torch.from_numpy(np.ascontiguousarray(np.moveaxis(x, -1, 1)))


def same(ours, theirs, atol=1e-5):
    np.testing.assert_allclose(ours, np.moveaxis(theirs.numpy(), 1, -1), atol=atol)


@pytest.mark.parametrize('kernel, stride', [((7, 7), 2), ((3, 3), 1), ((3, 3), 2), ((1, 5), 1), ((5, 1), 1), ((1, 1), 2)])
@pytest.mark.parametrize('size', [(16, 24), (9, 7)])
def test_convolutions(torch, kernel, stride, size):
    x, weight, bias = normal(2, *size, 3), normal(*kernel, 3, 5, seed=1), normal(5, seed=2)
    theirs = torch.nn.functional.conv2d(first(torch, x), torch.from_numpy(weight.transpose(3, 2, 0, 1).copy()), torch.from_numpy(bias),
                                        stride=stride, padding=tuple((side - 1) // 2 for side in kernel))
    same(raft.conv({'weight': weight, 'bias': bias}, x, stride), theirs, atol=1e-4)


def test_norms(torch):
    x, p = 3 + 2 * normal(2, 9, 7, 4), {leaf: normal(4, seed=i) for i, leaf in enumerate(('weight', 'bias', 'running_mean'))}
    p['running_var'] = normal(4, seed=3) ** 2 + 0.1
    weight, bias, mean, var = (torch.from_numpy(p[leaf]) for leaf in ('weight', 'bias', 'running_mean', 'running_var'))
    same(raft.instance_norm(x), torch.nn.functional.instance_norm(first(torch, x)), atol=1e-4)
    same(raft.batch_norm(p, x), torch.nn.functional.batch_norm(first(torch, x), mean, var, weight, bias), atol=1e-4)


def test_look_ups_in_the_pyramid(torch):
    one, other, radius = normal(2, 17, 20, 6), normal(2, 17, 20, 6, seed=1), 3
    places = np.random.default_rng(2).uniform(-6, 26, (2, 17, 20, 2)).astype('f')
    pyramid = raft.correlation_pyramid(one, other)
    ours = np.asarray(raft.look_up(pyramid, jnp.asarray(places), radius)).reshape(2, 17, 20, raft.LEVELS, 7, 7)
    level = torch.from_numpy(np.einsum('bhwc,bijc->bhwij', one, other) / 6**0.5).reshape(-1, 1, 17, 20)
    y, x = np.mgrid[-radius:radius + 1, -radius:radius + 1]
    for i in range(raft.LEVELS):
        size = np.array(level.shape[:1:-1])
        grid = (places.reshape(-1, 1, 1, 2) / 2**i + np.stack([x, y], -1)) * 2 / (size - 1) - 1
        theirs = torch.nn.functional.grid_sample(level, torch.from_numpy(grid.astype('f')), align_corners=True).reshape(2, 17, 20, 7, 7)
        np.testing.assert_allclose(ours[..., i, :, :].swapaxes(-1, -2), theirs.numpy(), atol=1e-4)
        level = torch.nn.functional.avg_pool2d(level, 2)


def test_upsampling(torch):
    flow, mask = normal(2, 5, 7, 2), normal(2, 5, 7, 576, seed=1)
    bilinear = 8 * torch.nn.functional.interpolate(first(torch, flow), scale_factor=8, mode='bilinear', align_corners=True)
    same(raft.upsample_bilinear(flow), bilinear)
    weights = first(torch, mask).reshape(2, 1, 9, 64, 5, 7).softmax(2)
    nine = torch.nn.functional.unfold(8 * first(torch, flow), 3, padding=1).reshape(2, 2, 9, 1, 5, 7)
    convex = torch.nn.functional.pixel_shuffle((weights * nine).sum(2).reshape(2, 128, 5, 7), 8)
    same(raft.upsample_convex(flow, mask), convex)


def test_the_recurrent_unit(torch):
    # on one pixel a convolutional GRU is a GRU, but that torch's resets after the product: equal where the hidden state's is diagonal
    hidden, x = np.tanh(normal(3, 1, 1, 4)), normal(3, 1, 1, 5, seed=1)
    gates = {gate: (np.concatenate([np.diag(normal(4, seed=i)), normal(5, 4, seed=i + 3)]), normal(4, seed=i + 6))
             for i, gate in enumerate('rzq')}
    ours = raft.gru({f'conv{gate}': {'weight': weight[None, None], 'bias': bias} for gate, (weight, bias) in gates.items()}, hidden, x)
    cell = torch.nn.GRUCell(5, 4)
    signs = {'r': 1, 'z': -1, 'q': 1}  # its z says what is kept, ours what is new
    with torch.no_grad():
        cell.bias_hh.zero_()
        for parameter, part in ((cell.weight_ih, slice(4, None)), (cell.weight_hh, slice(4))):
            parameter.copy_(torch.from_numpy(np.concatenate([signs[gate] * gates[gate][0][part].T for gate in 'rzq'])))
        cell.bias_ih.copy_(torch.from_numpy(np.concatenate([signs[gate] * gates[gate][1] for gate in 'rzq'])))
        theirs = cell(torch.from_numpy(x[:, 0, 0]), torch.from_numpy(hidden[:, 0, 0]))
    np.testing.assert_allclose(ours[:, 0, 0], theirs.numpy(), atol=1e-5)
