"""Flags of the commands on published weights that contradict the config are refused before any weights are read."""
import dataclasses
import json

import pytest

from tqd_jax import encode, export
from tqd_jax.config import Config
from tqd_jax.config.wan_defaults import wan_defaults
from transfer_jax.runtime.config import instance, override, to_json
from transfer_jax.runtime.errors import UserError

WAN = override(instance(Config, wan_defaults()), {'wan.path': 'folder'})


def test_a_cache_has_one_place(tmp_path):
    config = dataclasses.replace(WAN, data=dataclasses.replace(WAN.data, cache='other'))
    with pytest.raises(UserError, match=r"config\.data\.cache = 'other'.*--output alone"):
        encode.main(config, tmp_path)


def test_merging_without_adapters_is_refused(tmp_path):
    full = override(WAN, {'train.trained': 'full'})
    (tmp_path / 'config.json').write_text(json.dumps(to_json(full)))
    with pytest.raises(UserError, match='--merge is for a run with adapters'):
        export.export(tmp_path, format='diffusers', output=tmp_path / 'out', merge=True)
