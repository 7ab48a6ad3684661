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
    for imported, unpickled, used in [figure['worker'] for figure in few_and_many]:
        assert used - imported < 5 and unpickled - imported < 5
