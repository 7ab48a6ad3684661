"""A library's memory grows by the bytes of its texts and arrays, and a loader's worker by nothing."""
import json
import subprocess
import sys

import pytest
import small

from benchmarks.million_rows import write_table


def figures(folder, rows):
    """What a fresh process reports that loads `rows` clips."""
    folder.mkdir()
    write_table(folder / 'scores.parquet', rows)
    command = [sys.executable, '-m', 'benchmarks.million_rows', f'--load={folder}']
    return json.loads(subprocess.run(command, cwd=small.ROOT, check=True, capture_output=True, text=True).stdout.splitlines()[-1])


@pytest.fixture(scope='module')
def few_and_many(tmp_path_factory):
    folder = tmp_path_factory.mktemp('tables')
    return figures(folder / 'few', 20_000), figures(folder / 'many', 100_000)


def test_a_library_takes_its_bytes_alone(few_and_many):
    few, many = few_and_many
    assert many['load'] - few['load'] < 72, 'a million rows, with 280 MB of imports, take more than 1 GB'


def test_a_worker_holds_no_copy(few_and_many):
    for imported, unpickled, used, _ in [figure['worker'] for figure in few_and_many]:
        assert used - imported < 5 and unpickled - imported < 5


@pytest.mark.parametrize(('module', 'never'), [
    ('tqd_jax.data.loader', ('pyarrow', 'av', 'cv2')),
    ('tqd_jax.cache.stores', ('pyarrow', 'av', 'cv2')),
    ('tqd_jax.clips.read', ('pyarrow', 'jax'))])
def test_what_a_worker_imports(module, never):
    """Each takes 17 to 160 MB of every worker: who loads cached frames decodes nothing, and a file in no archive needs no Arrow."""
    code = f'import sys, {module}; print(sorted(set({never}) & set(sys.modules)))'
    assert subprocess.run([sys.executable, '-c', code], cwd=small.ROOT, check=True, capture_output=True, text=True).stdout == '[]\n'
