"""A tiny Wan whose weights are all away from where they start, and the layouts of its files."""
import jax
import numpy as np

from tqd_jax.models.wan.config import WanConfig
from tqd_jax.models.wan.model import abstract_params

CONFIG = WanConfig(layers=3, heads=2, head_dim=12, ffn_dim=40, text_dim=16, text_len=512, in_channels=4, out_channels=4, freq_dim=32)
DESCRIBED = {'_class_name': 'WanModel', 'model_type': 't2v', 'dim': 24, 'num_heads': 2, 'num_layers': 3, 'ffn_dim': 40, 'text_len': 512}


def random_params(config=CONFIG, dtype=np.float32, seed=0):
    """Normal values for every parameter."""
    rng = np.random.default_rng(seed)
    return jax.tree.map(lambda leaf: rng.normal(size=leaf.shape).astype(dtype), abstract_params(config))


def assert_same(ours, theirs):
    """Same tree, same dtypes, same bits."""
    assert jax.tree.structure(ours) == jax.tree.structure(theirs)
    for (path, a), b in zip(jax.tree.leaves_with_path(ours), jax.tree.leaves(theirs), strict=True):
        a, b = np.asarray(a), np.asarray(b)
        assert (a.shape, a.dtype) == (b.shape, b.dtype) and a.tobytes() == b.tobytes(), jax.tree_util.keystr(path)
