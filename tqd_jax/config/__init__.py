"""The main job's config: its keys in one dataclass, and the checks that involve several of them."""
from tqd_jax.config.checks import LEARNED, check_shapes, check_whole, compared_law, fixed_keys, keys_by_leave, law_config
from tqd_jax.config.data import Data, renders
from tqd_jax.config.schema import Config, Train

__all__ = ['LEARNED', 'Config', 'Data', 'Train', 'check_shapes', 'check_whole', 'compared_law', 'fixed_keys', 'keys_by_leave', 'law_config',
           'renders']
