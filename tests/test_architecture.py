"""ARCHITECTURE.md, held by parsing the imports and the calls of both packages."""
import ast
import pathlib
import sys

import pytest

ROOT = pathlib.Path(__file__).parents[1]

# lowest first; a unit (a module, or a package with all its modules) imports from lower floors and from itself
TQD_FLOORS = (
    ('timesteps', 'flow', 'data.places', 'data.write'),
    ('data.container',),  # decoding stands below the scores, the rest of data above them
    ('data.display',),
    ('data.video',),
    ('models', 'codec'),
    ('quality',),
    ('data',),
    ('state', 'step', 'sampler'),
    ('gradients', 'buckets'),
    ('alignment',),
    ('pilot',),
    ('evaluate', 'plots', 'results', 'score_table', 'score_input'),
    ('samples', 'gradients_page'),
    ('report',),
    ('score_report',),
    ('score',),
    ('config',),
    ('run',),
    ('programs',),
    ('align', 'learn'),
    ('watch',),
    ('train',),
    ('workdir',),
    ('main',),
    ('study',),
)
TRANSFER_FLOORS = (
    ('runtime',),
    ('solution', 'models', 'data'),
    ('solver',),
    ('inputs',),
    ('objective', 'fisher', 'shrinkage'),
    ('weights',),
    ('quantities', 'debias'),
    ('planning', 'budget'),
    ('measure', 'training'),
    ('folds',),
    ('lab',),
    ('methods',),
    ('multitask',),
    ('config', 'results', 'plots'),
    ('job', 'report', 'theory'),
    ('main',),
)
FLOORS = {'tqd_jax': TQD_FLOORS, 'transfer_jax': TRANSFER_FLOORS}
MEASURES = tuple(f'quality.{name}' for name in (
    'banding', 'blocks', 'camera', 'codec_motion', 'dead_leaves', 'detail', 'duplicates', 'exposure', 'flow', 'import_formats', 'measures',
    'motion', 'niqe', 'normaliser', 'overlays', 'resolution', 'visual'))
PURE = (*MEASURES, 'timesteps', 'flow', 'models.config', 'models.layers', 'models.rope', 'models.wan', 'models.raft', 'codec',
        'quality.raft', 'quality.law', 'state', 'step', 'sampler', 'evaluate', 'config', 'models.attention',
        'quality.learned_law', 'gradients', 'alignment', 'align', 'pilot', 'learn')  # these touch no file
WITHOUT_JAX = (*MEASURES, 'quality.row', 'quality.score', 'quality.store', 'quality.table', 'quality.niqe_model',
               'quality.import_files', 'quality.importers')
TOUCHING_FILES = ('runtime', 'data', 'models.pretrained', 'job', 'results', 'report', 'main', 'multitask.run',
                  'theory.study')  # all others: none
FILE_CALLS = {'open', 'read_text', 'write_text', 'read_bytes', 'write_bytes', 'mkdir', 'unlink', 'rename', 'remove', 'rmtree', 'imread',
              'imwrite', 'read_table', 'write_table', 'savez', 'savez_compressed', 'savetxt', 'loadtxt', 'memmap', 'fromfile', 'tofile'}


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


def inside(name, unit):
    return name == unit or name.startswith(f'{unit}.')


def floor_of(name):
    """The floor and unit of a dotted name of ours, or None for a package itself and for names that are not ours."""
    package, _, rest = name.partition('.')
    floors, parts = FLOORS.get(package, ()), rest.split('.')
    units = [unit for unit in ('.'.join(parts[:2]), parts[0]) if any(unit in floor for floor in floors)]
    return next(((number, units[0]) for number, floor in enumerate(floors) if units and units[0] in floor), None)


TQD, TRANSFER = modules('tqd_jax'), modules('transfer_jax')


def test_transfer_never_imports_tqd():
    assert 'transfer_jax.runtime.errors' in TRANSFER
    for name, tree in TRANSFER.items():
        assert not [other for other in imports(tree) if inside(other, 'tqd_jax')], name


@pytest.mark.parametrize('name', sorted((TQD | TRANSFER).keys() - FLOORS.keys()))
def test_a_module_imports_only_from_lower_floors(name):
    assert floor_of(name), f'{name} has no floor: give it one here and in ARCHITECTURE.md'
    floor, unit = floor_of(name)
    for other in imports((TQD | TRANSFER)[name]):
        assert other != '.', f'{name} has a relative import'
        below = floor_of(other) if other.split('.')[0] == name.split('.')[0] else None
        assert below is None or below[0] < floor or below[1] == unit, f'{name} imports {other}'


@pytest.mark.parametrize('name', ['timesteps', 'flow'])
def test_the_ground_floor_stands_on_jax_and_numpy_alone(name):
    roots = {other.split('.')[0] for other in imports(TQD[f'tqd_jax.{name}'])}
    assert roots - set(sys.stdlib_module_names) <= {'jax', 'numpy'}


@pytest.mark.parametrize('name', WITHOUT_JAX)
def test_scorers_need_no_jax(name):
    assert not [other for other in imports(TQD[f'tqd_jax.{name}']) if other.split('.')[0] in ('jax', 'flax', 'optax')]


def test_pure_modules_touch_no_file():
    touching = tuple(f'transfer_jax.{unit}' for unit in TOUCHING_FILES)
    pure = {name: tree for name, tree in TRANSFER.items() if not any(inside(name, unit) for unit in touching)}
    pure |= {name: TQD[f'tqd_jax.{name}'] for name in PURE}
    assert {name: calls for name, tree in pure.items() if (calls := file_calls(tree))} == {}


def test_the_parser_sees_what_it_must():
    tree = ast.parse('import a.b as c\ndef f():\n  from d import e, g\n  from . import h\n  np.load(open(c))\n  json.loads(p.read_text())')
    assert imports(tree) == {'a.b', 'd.e', 'd.g', '.'}
    assert file_calls(tree) == {'load', 'open', 'read_text'}
    assert floor_of('tqd_jax.data.library.prepare') == (6, 'data') and floor_of('tqd_jax.data.video.read_clip') == (3, 'data.video')
    assert floor_of('tqd_jax') is None
