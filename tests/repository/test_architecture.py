"""The arrows between folders, and which folders are pure: held by parsing the imports and the calls of both packages."""
import ast
import pathlib
import sys

import pytest

ROOT = pathlib.Path(__file__).parents[2]
MOST = 13  # modules of a folder

# folder: the folders of its own package that it may import; runtime is open to all, and tqd_jax may import transfer_jax's library
TQD = {
    'clips': (),
    'models': (),
    'timesteps': (),
    'latents': ('models',),
    'pretrain_vae': ('clips', 'latents'),
    'text': ('models',),
    'scoring': ('clips', 'models'),
    'diffusion': ('timesteps', 'latents', 'text'),
    'data': ('clips', 'scoring', 'timesteps'),
    'cache': ('clips', 'latents', 'text', 'data'),
    'config': ('timesteps', 'latents', 'models', 'diffusion', 'data'),
    'foundations': ('timesteps', 'latents', 'text', 'models', 'diffusion', 'data', 'cache', 'config'),
    'training': ('clips', 'scoring', 'timesteps', 'models', 'diffusion', 'data', 'config', 'foundations'),
    'planning': ('latents', 'text', 'models', 'diffusion', 'data', 'config', 'foundations', 'training'),
    'gradients': ('clips', 'timesteps', 'diffusion', 'data'),
    'comparison': ('config', 'training'),
    'report': ('clips', 'scoring', 'timesteps'),
    'score': ('clips', 'scoring', 'timesteps', 'report'),
    'encode': ('config', 'foundations', 'training'),
    'plan': ('config', 'planning'),
    'export': ('config', 'models', 'foundations', 'training'),
    'main': ('timesteps', 'models', 'config', 'training', 'gradients', 'comparison', 'report'),
    'shipped': ('clips', 'models', 'text', 'export'),
    'launching': ('config',),
    'launch': ('launching',),
}
LIBRARY = ('inputs', 'objective', 'fisher', 'shrinkage', 'weights', 'quantities', 'debias', 'planning', 'knowledge', 'evidence',
           'budget')
TRANSFER = {
    'runtime': (),
    'solver': (),
    **{name: ('solver', *LIBRARY) for name in LIBRARY},
    'experiment': ('solver', *LIBRARY),
    'main': ('experiment',),
    'sklearn': ('solver', *LIBRARY, 'experiment'),
}
EXPERIMENT = {
    'data': (),
    'models': (),
    'training': ('data', 'models'),
    'linear': (),
    'scores': (),
    'lab': ('data', 'training', 'linear'),
    'methods': ('training', 'lab'),
    'multitask': ('data', 'scores'),
    'top': ('data', 'models', 'training', 'scores', 'lab', 'methods', 'multitask'),
}
PURE = ('tqd_jax.timesteps', 'tqd_jax.diffusion', 'tqd_jax.models.wan', 'tqd_jax.scoring.motion', 'tqd_jax.text.words',
        'tqd_jax.text.umt5.model', 'tqd_jax.latents.wan_vae.encoder', 'tqd_jax.latents.wan_vae.decoder', 'transfer_jax.solver',
        *(f'transfer_jax.{name}' for name in LIBRARY), 'transfer_jax.experiment.methods', 'transfer_jax.experiment.training',
        'transfer_jax.sklearn')
WITHOUT_JAX = ('tqd_jax.clips', 'tqd_jax.scoring')  # a process that measures clips starts in a fraction of a second
WITH_JAX = ('tqd_jax.scoring.plugins',)
FILE_CALLS = {'open', 'read_text', 'write_text', 'read_bytes', 'write_bytes', 'mkdir', 'unlink', 'rename', 'remove', 'rmtree', 'imread',
              'imwrite', 'read_table', 'write_table', 'savez', 'savez_compressed', 'savetxt', 'loadtxt', 'memmap', 'fromfile', 'tofile'}

PARQUET_READERS = {'read_table', 'read_pandas', 'read_parquet', 'read_schema', 'read_metadata', 'ParquetFile', 'ParquetDataset'}


def modules(package):
    """{dotted name: syntax tree} of a package's modules."""
    paths = sorted((ROOT / package).rglob('*.py'))
    return {'.'.join(path.relative_to(ROOT).with_suffix('').parts).removesuffix('.__init__'): ast.parse(path.read_text()) for path in paths}


def imports(tree):
    """Dotted names that a module imports, wherever the statement stands; 'from a import b' gives 'a.b', a relative import '.'."""
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        if isinstance(node, ast.ImportFrom):
            names |= {f'{node.module}.{alias.name}' if not node.level else '.' for alias in node.names}
    return names


def file_calls(tree):
    """The calls in a module that touch files, by the function's own name; np.load and np.save too, but not json.loads."""
    called = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            name = getattr(node.func, 'attr', getattr(node.func, 'id', ''))
            owner = getattr(getattr(node.func, 'value', None), 'id', '')
            if name in FILE_CALLS or (owner in ('np', 'numpy', 'jnp') and name in ('load', 'save')):
                called.add(name)
    return called


def names_used(tree):
    """Every name and attribute that a module uses or imports, called or not."""
    names = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    names |= {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    return names | {name.split('.')[-1] for name in imports(tree)}


def inside(name, unit):
    return name == unit or name.startswith(f'{unit}.')


def part(name, package):
    """The folder, or the module at the top, of a dotted name within a package; None for the package itself and for other packages."""
    return name.removeprefix(f'{package}.').split('.')[0] if name.startswith(f'{package}.') else None


def flags_read(function, flags):
    """The global flags that a function reads: FLAGS.name, and NAME.value of flags that the module defines."""
    found = set()
    for node in ast.walk(function):
        if isinstance(node, ast.Attribute):
            owner = node.value
            if getattr(owner, 'attr', getattr(owner, 'id', '')) == 'FLAGS' and node.attr != 'mark_as_parsed':
                found.add(node.attr)
            if node.attr == 'value' and getattr(owner, 'id', None) in flags:
                found.add(owner.id)
    return found


ALL = {package: modules(package) for package in ('tqd_jax', 'transfer_jax')}
EVERY = ALL['tqd_jax'] | ALL['transfer_jax']
BOTH = sorted(EVERY)


@pytest.mark.parametrize(('package', 'arrows'), [('tqd_jax', TQD), ('transfer_jax', TRANSFER), ('transfer_jax.experiment', EXPERIMENT)])
def test_arrows_between_folders(package, arrows):
    named = lambda name: name if name is None or name in arrows or 'top' not in arrows else 'top'
    used = {name: set() for name in arrows}
    for name, tree in EVERY.items():
        here = named(part(name, package))
        if here is None:
            continue
        assert here in arrows, f'{name} is in no folder that this test knows: give it one here and in ARCHITECTURE.md'
        for other in imports(tree):
            assert other != '.', f'{name} has a relative import'
            there = named(part(other, package))
            assert there in (None, here, 'runtime', *arrows[here]), f'{name} imports {other}'
            used[here].add(there)
    if package != 'transfer_jax':  # whose library is one folder, with every arrow between its modules
        unused = [(name, other) for name, others in arrows.items() for other in others if other not in used[name]]
        assert unused == [], 'no import needs these arrows: take them out here and in ARCHITECTURE.md'


@pytest.mark.parametrize('arrows', [TQD, EXPERIMENT, {name: arrows for name, arrows in TRANSFER.items() if name not in LIBRARY}])
def test_the_arrows_have_no_cycle(arrows):
    reached = lambda name: set(arrows.get(name, ())).union(*(reached(other) for other in arrows.get(name, ())))
    assert [name for name in arrows if name in reached(name)] == []


def test_transfer_never_imports_tqd_and_neither_imports_benchmarks_or_configs():
    assert 'transfer_jax.runtime.errors' in EVERY
    for name, tree in EVERY.items():
        outside = ('benchmarks', 'configs', 'tests') + (('tqd_jax',) if inside(name, 'transfer_jax') else ('transfer_jax.experiment',))
        assert not [other for other in imports(tree) if any(inside(other, unit) for unit in outside)], name


def test_timesteps_stand_on_jax_and_numpy_alone():
    roots = {other.split('.')[0] for other in imports(EVERY['tqd_jax.timesteps.law'])}
    assert roots - set(sys.stdlib_module_names) <= {'jax', 'jaxtyping', 'numpy'}


@pytest.mark.parametrize('name', [name for name in BOTH if any(inside(name, unit) for unit in WITHOUT_JAX)
                                  and not any(inside(name, unit) for unit in WITH_JAX)])
def test_scorers_need_no_jax(name):
    assert not [other for other in imports(EVERY[name]) if other.split('.')[0] in ('jax', 'flax', 'optax')]


@pytest.mark.parametrize('name', [name for name in BOTH if any(inside(name, unit) for unit in PURE)])
def test_pure_modules_touch_no_file(name):
    assert file_calls(EVERY[name]) == set()


def test_the_library_needs_no_scikit_learn():
    using = {name for name, tree in EVERY.items() if any(inside(other, 'sklearn') for other in imports(tree))}
    assert using == {name for name in using if inside(name, 'transfer_jax.sklearn')} | {
        'transfer_jax.experiment.data.digits', 'transfer_jax.experiment.data.tables.svmlight'}
    assert not [name for name, tree in EVERY.items() if not inside(name, 'transfer_jax.sklearn')
                and any(inside(other, 'transfer_jax.sklearn') for other in imports(tree))]


def test_one_module_reads_scores():
    """Every other module of tqd_jax that opens Parquet files opens those of the user: manifests and other tools' scores."""
    opening = lambda tree: names_used(tree) & PARQUET_READERS or 'pyarrow.dataset' in imports(tree)
    assert {name for name, tree in ALL['tqd_jax'].items() if opening(tree)} == {
        'tqd_jax.scoring.scores', 'tqd_jax.clips.listing.parquet', 'tqd_jax.clips.listing.embedded', 'tqd_jax.clips.tables'}


@pytest.mark.parametrize('package', ['tqd_jax', 'transfer_jax', 'benchmarks', 'configs', 'tests'])
def test_a_folder_is_small(package):
    folders = {}
    for path in (ROOT / package).rglob('*.py'):
        if path.name != '__init__.py':
            folders.setdefault(path.parent, []).append(path.name)
    assert {str(folder): len(names) for folder, names in folders.items() if len(names) > MOST} == {}


@pytest.mark.parametrize('name', BOTH)
def test_a_module_says_what_it_is_for(name):
    assert (ast.get_docstring(EVERY[name]) or '').strip(), f'{name} has no first line'


@pytest.mark.parametrize('name', BOTH)
def test_a_function_reads_one_flag_at_most(name):
    tree = EVERY[name]
    flags = {target.id for node in tree.body if isinstance(node, ast.Assign) and 'DEFINE_' in ast.dump(node.value)
             for target in node.targets}
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            assert len(flags_read(node, flags)) <= 1, f'{name}.{node.name} reads {sorted(flags_read(node, flags))}'


def test_the_parser_sees_what_it_must():
    tree = ast.parse('import a.b as c\ndef f():\n  from d import e, g\n  from . import h\n  np.load(open(c))\n  json.loads(p.read_text())')
    assert imports(tree) == {'a.b', 'd.e', 'd.g', '.'}
    assert file_calls(tree) == {'load', 'open', 'read_text'}
    assert part('tqd_jax.data.library.prepare', 'tqd_jax') == 'data' and part('tqd_jax', 'tqd_jax') is None
    assert flags_read(ast.parse('FLAGS.workdir + MODE.value + other.value'), {'MODE'}) == {'workdir', 'MODE'}


def test_no_two_test_modules_have_one_name():
    """pytest imports them by their names: two of one stop the whole suite, and none of the runs of a part."""
    names = [path.name for path in (ROOT / 'tests').rglob('test_*.py')]
    assert sorted(set(names)) == sorted(names)
