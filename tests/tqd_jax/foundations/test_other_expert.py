"""The expert that a run does not train, as sampling reads it: in the storage of the run, sharded, whatever the run trains."""
import jax
import pytest
import wan_runs
import wan_small

from tqd_jax.foundations.wan import published
from tqd_jax.models.io.files import open_tensors
from tqd_jax.models.io.wan import load_params
from tqd_jax.models.partition import is_adapter, partition, selects
from tqd_jax.models.wan.frozen import stored
from tqd_jax.models.wan.model import abstract_params
from tqd_jax.training.run import placed
from transfer_jax.runtime.parallel.mesh import make_mesh
from transfer_jax.runtime.tensors import named_leaves


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    return wan_small.write_folder(tmp_path_factory.mktemp('wan'), experts=('high', 'low'))


@pytest.mark.parametrize(('trained', 'storage'), [('full', 'bfloat16'), ('blocks/cross/.*', 'int8'), ('lora', 'bfloat16')])
def test_the_other_expert_is_read_in_the_storage_and_shardings_of_the_run(folder, trained, storage):
    mesh = make_mesh(2, 4)
    config = wan_small.config(**{'wan.path': folder, 'wan.expert': 'low', 'wan.storage': storage, 'train.trained': trained})
    foundation = published(config, mesh)
    own, rest = partition(abstract_params(foundation.model), selects(trained))
    own, rest = placed(own, mesh), placed(stored(rest, storage), mesh)
    adapters, frozen = foundation.other(own, rest)
    assert sorted(wan_runs.arrays(adapters)) == sorted(wan_runs.arrays(partition(own, is_adapter)[0]))
    assert not any(leaf.any() for leaf in jax.tree.leaves(adapters))
    whole = abstract_params(wan_small.MODEL)
    high = load_params(open_tensors(folder / 'high_noise_model'), wan_small.MODEL, stored(whole, storage))
    assert not wan_runs.different(wan_runs.arrays(frozen), wan_runs.arrays(high))
    assert {leaf.dtype.name for leaf in jax.tree.leaves(frozen['blocks'])} == {storage, 'float32'}
    found, wanted = named_leaves(frozen), named_leaves(placed(whole, mesh))
    assert {name: found[name].sharding for name in wanted} == {name: leaf.sharding for name, leaf in wanted.items()}
