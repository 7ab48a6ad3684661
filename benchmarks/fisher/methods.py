"""The Fisher Gram matrix of an MLP in several ways: fisher_gram, and gradients of every example held in memory."""
import functools

import jax
import jax.numpy as jnp

from transfer_jax.fisher import dimension, fisher_gram

WIDTHS, N, K = (784, 800, 450, 10), 2000, 5


def init(key):
    """A list of (kernel, bias), outputs of about unit size."""
    keys = jax.random.split(key, len(WIDTHS) - 1)
    return [(jax.random.normal(k, (i, o)) * (2 / i) ** 0.5, jnp.zeros(o)) for k, i, o in zip(keys, WIDTHS[:-1], WIDTHS[1:], strict=True)]


def logits(params, example):
    """ReLU MLP, [10]."""
    x = example['x']
    for kernel, bias in params[:-1]:
        x = jax.nn.relu(x @ kernel + bias)
    return x @ params[-1][0] + params[-1][1]


def log_prob(params, example):
    """log p(y | x) of one example."""
    return jax.nn.log_softmax(logits(params, example))[example['y']]


def problem(seed, confidence=1.0):
    """(params, deltas), the differences a tenth as large as params; confidence multiplies the logits."""
    model, *others = (init(jax.random.key(1000 * seed + k)) for k in range(K + 1))
    model[-1] = jax.tree.map(lambda x: confidence * x, model[-1])
    return model, jax.tree.map(lambda *leaves: 0.1 * jnp.stack(leaves), *others)


def draw_examples(params, key):
    """n fresh examples: standard normal inputs, labels from the model's own distribution."""
    x = jax.random.normal(key, (N, WIDTHS[0]))
    return {'x': x, 'y': jax.random.categorical(jax.random.fold_in(key, 1), logits(params, {'x': x}))}


def gram_of_gradients(params, deltas, batch, flat, minibatch=N):
    """G from gradients of every example, held for `minibatch` examples at once; flat: as one [minibatch, d], else leaf by leaf."""
    as_rows = lambda tree: [leaf.reshape(len(leaf), -1) for leaf in jax.tree.leaves(tree)]

    def products(part):
        gradients, differences = as_rows(jax.vmap(jax.grad(log_prob), (None, 0))(params, part)), as_rows(deltas)
        if flat:
            gradients, differences = [jnp.concatenate(gradients, 1)], [jnp.concatenate(differences, 1)]
        return sum(g @ delta.T for g, delta in zip(gradients, differences, strict=True))

    a = jax.lax.map(products, jax.tree.map(lambda x: x.reshape(N // minibatch, minibatch, *x.shape[1:]), batch)).reshape(N, K)
    return a.T @ a / (N * dimension(params))


METHODS = {'fisher_gram, true': lambda *problem: fisher_gram(logits, *problem, kind='true'),
           'fisher_gram, empirical': lambda *problem: fisher_gram(log_prob, *problem, kind='empirical'),
           'gradients [n, d]': functools.partial(gram_of_gradients, flat=True),
           'gradients leaf by leaf': functools.partial(gram_of_gradients, flat=False),
           'minibatches of 200, leaf by leaf': functools.partial(gram_of_gradients, flat=False, minibatch=200),
           'minibatches of 20, leaf by leaf': functools.partial(gram_of_gradients, flat=False, minibatch=20)}
HELD = [name for name in METHODS if 'fisher_gram' not in name]
