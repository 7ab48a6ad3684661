"""The shipped configs obey their schemas and need nothing but the packages, and the page of all keys is of these schemas."""
import ast
import importlib.util
import pathlib

import pytest

from benchmarks.studies import config as studies
from tqd_jax.config import Config, check_whole
from tqd_jax.config import __main__ as tqd_page
from tqd_jax.launching.config import Launch
from transfer_jax.experiment import checks
from transfer_jax.experiment import config as transfer
from transfer_jax.runtime.config import check, defaults, describe, differences, instance, override, rules

ROOT = pathlib.Path(__file__).parents[2]
CONFIGS = sorted((ROOT / 'configs').rglob('*.py'))


def load(path):
    """The ConfigDict of a config file, read by its path alone."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.get_config()


def schema_of(config):
    if 'study' in config:
        return studies.schema_of(config)
    if 'place' in config:
        return Launch
    return transfer.schema_of(config) if 'mode' in config else Config


@pytest.mark.parametrize('path', CONFIGS, ids=lambda path: path.stem)
def test_a_shipped_config_obeys_its_schema(path):
    made = instance(schema_of(load(path)), load(path))
    if isinstance(made, Config) and made.model.preset is None:  # of weights that the user names
        made = override(made, {'wan.path': 'WEIGHTS'})
    for whole, schema in ((check_whole, Config), (checks.check_whole, transfer.TransferConfig)):
        if isinstance(made, schema):
            whole(made)


@pytest.mark.parametrize('path', CONFIGS, ids=lambda path: path.stem)
def test_a_config_imports_no_config_and_describes_its_command_and_its_result(path):
    tree = ast.parse(path.read_text())
    froms = [node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    assert [name for name in froms if name.split('.')[0] not in ('tqd_jax', 'transfer_jax', 'benchmarks')] == []
    assert not [node for node in ast.walk(tree) if isinstance(node, ast.Import)]
    text = ast.get_docstring(tree)
    assert 'xpected' in text and ('python -m' in text or 'make ' in text) and ('Machine' in text or 'cores' in text)


@pytest.mark.parametrize('schema', [Config, Launch, transfer.TransferConfig, transfer.MultitaskConfig, *studies.SCHEMAS.values()])
def test_the_defaults_obey_the_rules(schema):
    check(defaults(schema), rules(schema))
    assert differences(instance(schema, defaults(schema)), schema()) == []


def test_the_page_of_all_keys_is_current():
    page = (ROOT / 'docs/configuration.md').read_text()
    assert page == f'{tqd_page.tables()}\n{transfer.tables()}\n', 'write it again: make configuration'


def test_the_page_of_launch_files_has_their_keys():
    page = (ROOT / 'docs/launch.md').read_text()
    assert page.partition('## Every key\n\n')[2] == f'{describe(Launch)}\n', 'python -m tqd_jax.launching.config prints them'
