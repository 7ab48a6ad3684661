"""What text features depend on, where only the cache has them."""
import dataclasses
import json
import types

import pytest
import wan_small

from tqd_jax.cache.keys import TextSettings
from tqd_jax.foundations.settings import remember, remembered, text_settings
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


def test_a_cache_remembers_every_encoder_and_the_newest_of_a_dtype_counts(tmp_path):
    wide = dataclasses.replace(SETTINGS, compute='float32', stored='float32')
    newer = dataclasses.replace(SETTINGS, encoder='f')
    for settings, found in (SETTINGS, SETTINGS), (wide, SETTINGS), (newer, newer), (SETTINGS, SETTINGS):
        remember(settings, tmp_path)
        assert remembered(tmp_path, 'bfloat16') == found
    assert remembered(tmp_path, 'float32') == wide
    assert len(json.loads((tmp_path / 'text.json').read_text())) == 3
    (tmp_path / 'text.json').write_text('[{')
    with pytest.raises(UserError, match=r'text\.json is damaged'):
        remembered(tmp_path, 'float32')
