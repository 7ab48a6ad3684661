"""Launch configs: what contradicts itself is one line; every command of a file is one that its program takes; flags by chip."""
import json
import os
import re
import shlex
import subprocess
import sys

import launched
import pytest
from snippets import parse_flags

from configs import launch as launch_config
from configs import video, wan
from tqd_jax import launch
from tqd_jax.config import Config
from tqd_jax.launching.checks import check_launch
from tqd_jax.launching.chips import KINDS, slice_of
from tqd_jax.launching.flags import environment, flags_of
from tqd_jax.launching.job import check_job, command
from transfer_jax.runtime.app import overridden
from transfer_jax.runtime.errors import UserError

WRONG = [  # the keys, what the line says
    ({'chip': 'v9-8'}, 'no such kind'), ({'chip': 'v5p-7'}, 'no such size'), ({'chip': 'v6e-2'}, 'v6e-1, v6e-4, v6e-8'),
    ({'google.project': None}, 'config.google.project is missing'), ({'job.workdir': 'runs/lora'}, 'gone with the machines'),
    ({'code.source': None}, 'give one of them'), ({'code.image': 'x'}, 'give one of them'), ({'code.source': '/home/me'}, 'from a bucket'),
    ({'chip': 'h100-8'}, 'a GPU is for slurm and colab'), ({'chip': 'tpu7x-8'}, 'take mig or gke'),
    ({'place': 'tpu_vm', 'slices': 2}, 'queued or gke'), ({'place': 'tpu_vm', 'provision': 'flex-start'}, 'queued, mig or gke'),
    ({'place': 'mig', 'slices': 2}, 'a group is one slice'), ({'place': 'mig', 'chip': 'v5litepod-8'}, 'v5p, v6e and tpu7x'),
    ({'place': 'gke'}, 'pods run an image'), (launched.CLOUD | {'google.cluster': None}, 'google.cluster is missing'),
    (launched.CLOUD | {'slices': 2}, 'slices of several hosts only'), ({'place': 'slurm'}, 'slurm is for GPUs'),
    (launched.OWN | {'place': 'slurm', 'chip': 'h100-8', 'code.copies': (('gs://b/w', 'w'),)}, 'shared'),
    (launched.OWN | {'place': 'colab', 'chip': 'h100-8'}, 'Colab has one chip'), ({'place': 'colab', 'chip': 't4-1'}, 'extra gpu'),
    ({'code.copies': (('gs://b/w', '/etc'),)}, 'within the project'), ({'code.copies': (('w', 'w'),)}, 'within the project'),
]


@pytest.mark.parametrize(('changes', 'said'), WRONG)
def test_a_contradiction_is_one_line(changes, said):
    with pytest.raises(UserError, match=re.escape(said)) as caught:
        check_launch(launched.launch(**changes))
    assert '\n' not in str(caught.value) and 'config.' in str(caught.value)


@pytest.mark.parametrize(('key', 'value'), [
    ('name', 'My_Run'), ('place', 'azure'), ('restarts', 0), ('google.zone', 'us'), ('google.options', ('rm -rf',)),
    ('job.overrides', ('a\nb',)), ('slurm.partition', 'a b'), ('code.image', 'a b'), ('hours', 200)])
def test_a_value_that_a_file_could_not_hold_is_refused(key, value):
    with pytest.raises(UserError, match=f'config.{key} = '):
        launched.launch(**{key: value})


@pytest.mark.parametrize(('changes', 'said'), [
    ({'job.config': 'configs/none.py'}, 'no such file'), ({'job.overrides': ('train.stpes=5',)}, 'did you mean config.train.steps'),
    ({'job.overrides': ('train.steps=0',)}, 'config.train.steps = 0'), ({'job.overrides': ('train.steps',)}, 'has no value'),
    ({'job.overrides': ('wan.path=weights', 'train.batch=12')}, 'a batch of 12 does not divide over 8 devices'),
    ({'job.overrides': ('wan.path=weights', 'mesh.fsdp=3')}, 'does not fit 8 devices'),
    ({'job.program': 'encode', 'job.mode': 'eval'}, 'is a mode of main')])
def test_a_job_that_would_not_start_is_refused_here(changes, said, monkeypatch):
    monkeypatch.chdir(launched.ROOT)
    with pytest.raises(UserError, match=re.escape(said)):
        check_job(launched.launch(**changes).job, 8)


@pytest.mark.parametrize('job', [{}, {'mode': 'eval'}, {'program': 'encode'}])
@pytest.mark.filterwarnings('ignore:the load_module:DeprecationWarning')  # how ml_collections reads a config file
def test_the_program_takes_the_command(job, monkeypatch):
    monkeypatch.chdir(launched.ROOT)
    config = launched.launch(**{f'job.{name}': value for name, value in job.items()})
    check_job(config.job, 8)
    _, module, *words = command(config.job)
    parse_flags(module, [*words, '--coordinator=a:8482', '--processes=4', '--process=2'])


@pytest.mark.parametrize('case', launched.CASES)
def test_every_file_has_the_same_command(case):
    words = command(launched.launch(**launched.CASES[case]).job)
    files = launched.files(launched.CASES[case])
    assert [holds(name, text, words) for name, text in files.items()].count(True) == 1


def holds(name, text, words):
    """Whether a file has the words of a command, as its shell or a cell of it would write them."""
    if name.endswith('.ipynb'):
        return repr(list(words))[1:-1] in ''.join(line for cell in json.loads(text)['cells'] for line in cell['source'])
    return shlex.join(words) in text


def test_the_command_writes_the_files(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(launched.ROOT)
    launch.main(launched.launch(), str(tmp_path / 'out'))
    assert sorted(path.name for path in (tmp_path / 'out').iterdir()) == ['host.sh', 'slice.sh']
    assert 'docs/launch.md' in capsys.readouterr().out


@pytest.mark.parametrize(('name', 'chips', 'hosts', 'topology'), [
    ('v5litepod-1', 1, 1, '1x1'), ('v6e-8', 8, 1, '2x4'), ('v6e-16', 16, 4, '4x4'), ('v5p-8', 4, 1, '2x2x1'), ('v5p-32', 16, 4, '2x2x4'),
    ('tpu7x-128', 64, 16, '4x4x4')])
def test_a_name_means_chips_hosts_and_a_topology(name, chips, hosts, topology):
    made = slice_of(name)
    assert (made.chips, made.hosts, made.topology) == (chips, hosts, topology)


@pytest.mark.parametrize('kind', KINDS)
def test_a_topology_has_its_chips(kind):
    for chips, topology in KINDS[kind].shapes.items():
        product = 1
        for side in topology.split('x'):
            product *= int(side)
        assert product == chips


def test_flags_are_of_the_chip_alone_and_each_has_a_reason():
    texts = {name: environment(slice_of(name)).get('LIBTPU_INIT_ARGS', '') for name in ('v5litepod-1', 'v5p-8', 'v6e-1', 'tpu7x-8', 't4-1')}
    assert texts['v5litepod-1'] == texts['t4-1'] == ''
    assert '=65536' in texts['v5p-8'] and '=98304' in texts['v6e-1'] and 'collective' not in texts['v6e-1']
    assert 'sparse_core' not in ''.join(texts.values())
    assert all(flag.reason and flag.text.startswith('--xla_') for name in texts for flag in flags_of(slice_of(name)))
    assert 'LIBTPU_INIT_ARGS' not in ''.join(launched.files({'flags': False}).values())


TINY = """
import jax
from jax.experimental import topologies
jax.config.update('jax_platforms', 'cpu')
devices = topologies.get_topology_desc(platform='tpu', topology_name='{}').devices
sharding = jax.sharding.SingleDeviceSharding(devices[0])
jax.jit(lambda x: x @ x).lower(jax.ShapeDtypeStruct((256, 256), 'bfloat16', sharding=sharding)).compile()
"""


@pytest.mark.tpu
@pytest.mark.parametrize(('name', 'topology', 'known'), [
    ('v5litepod-4', 'v5e:2x2', True), ('v5p-8', 'v5p:2x2x1', True), ('v6e-4', 'v6e:2x2', True), ('tpu7x-8', 'tpu7x:2x2x1', True),
    ('v6e-4', 'v6e:2x2', False)])
def test_libtpu_takes_the_flags(name, topology, known):
    """The compiler ends at a flag that it does not know, which the last case holds."""
    pytest.importorskip('libtpu')
    flags = environment(slice_of(name))['LIBTPU_INIT_ARGS'] + ('' if known else ' --xla_tpu_no_such_flag=true')
    alone = {'TPU_SKIP_MDS_QUERY': '1', 'TPU_ACCELERATOR_TYPE': 'v5p-8', 'TPU_WORKER_HOSTNAMES': 'localhost',
             'ALLOW_MULTIPLE_LIBTPU_LOAD': '1', 'JAX_PLATFORMS': 'cpu', 'LIBTPU_INIT_ARGS': flags}
    done = subprocess.run([sys.executable, '-c', TINY.format(topology)], env=os.environ | alone, capture_output=True, text=True)
    assert (done.returncode == 0) == known, done.stderr
    assert known or 'xla_tpu_no_such_flag' in done.stderr


@pytest.mark.parametrize('config', [video, wan])
def test_a_config_of_the_training_is_told_where_it_belongs(config):
    with pytest.raises(UserError, match=r'--config=configs/launch\.py, .*--config\.job\.config=FILE'):
        overridden(config.get_config(), [], launch.schema_of)


def test_a_launch_config_is_none_of_the_training():
    with pytest.raises(UserError, match=r'is one of another program: it has chip, code, flags, .*, and this one reads seed, '):
        overridden(launch_config.get_config(), [], Config)
