"""What text features depend on, where only the cache has them."""
import dataclasses
import json
import types

import pytest
import wan_small

from tqd_jax.cache.keys import TextSettings
from tqd_jax.foundations.encode import text_settings
from transfer_jax.runtime.errors import UserError

NONE = types.SimpleNamespace(parts=types.SimpleNamespace(text_encoder=None))
SETTINGS = TextSettings(encoder='e', tokenizer='t', length=512, compute='bfloat16', stored='bfloat16')


def test_a_cache_without_its_encoder_keeps_its_dtype(tmp_path):
    with pytest.raises(UserError, match='no text features'):
        text_settings(wan_small.config(**{'wan.path': 'x'}), NONE, tmp_path)
    (tmp_path / 'text.json').write_text(json.dumps(dataclasses.asdict(SETTINGS)))
    assert text_settings(wan_small.config(**{'wan.path': 'x', 'wan.text_dtype': 'bfloat16'}), NONE, tmp_path) == SETTINGS
    with pytest.raises(UserError, match='are bfloat16: set --config'):
        text_settings(wan_small.config(**{'wan.path': 'x', 'wan.text_dtype': 'float32'}), NONE, tmp_path)
