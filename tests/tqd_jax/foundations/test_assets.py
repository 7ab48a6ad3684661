"""'asset:NAME' of config.wan.path is a model of the package, wherever files of weights are read; a name that is not there is refused."""
import pytest
import wan_small

from tqd_jax.foundations.sources import open_sources, parts_of
from tqd_jax.models import assets
from tqd_jax.planning.sizes import foundation_of
from transfer_jax.runtime.errors import UserError
from transfer_jax.runtime.parallel.mesh import make_mesh


@pytest.fixture
def shipped(tmp_path, monkeypatch):
    """The folder of the package's assets in this test: a model, and a file."""
    wan_small.write_folder(tmp_path / 'tiny_model', layout='diffusers')
    (tmp_path / 'tiny.npz').write_bytes(b'')
    monkeypatch.setattr(assets, 'ASSETS', tmp_path)
    return tmp_path


def test_a_model_of_the_package_is_read_as_any_other(shipped):
    config, mesh = wan_small.config(**{'wan.path': 'asset:tiny_model'}), make_mesh()
    sources = open_sources(config, mesh)
    assert sources.parts == open_sources(wan_small.config(**{'wan.path': shipped / 'tiny_model'}), mesh).parts
    assert foundation_of(config, mesh).model == sources.model


def test_one_part_of_it_may_be_another_model_s(shipped):
    parts = parts_of(wan_small.config(**{'wan.path': shipped / 'tiny_model/transformer', 'wan.vae': 'asset:tiny_model/vae'}).wan)
    assert parts.vae == shipped / 'tiny_model/vae' and parts.text_encoder is None


@pytest.mark.parametrize('name', ['nothing', 'tiny.npz', ''])
def test_a_name_that_is_not_there_is_refused_with_those_that_are(shipped, name):
    with pytest.raises(UserError, match=f"config.wan.path = 'asset:{name}': the package has no such weights, but asset:tiny_model$"):
        parts_of(wan_small.config(**{'wan.path': f'asset:{name}'}).wan)
