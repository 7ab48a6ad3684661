"""The page of a run costs some floats a clip, however long captions are: measured in a process of its own."""
import subprocess
import sys

import small

from benchmarks.million_rows import write_table

FEW, MANY = 10_000, 30_000  # more than are read at a time, so that the growth is of what is held
MOST = 1500  # bytes a clip more: 700 to 1050 of allocators that differ from run to run; as Python values, its columns take 4000
MEASURE = """
import sys
from benchmarks.memory import peak
from tqd_jax.report.page import write_report
write_report(sys.argv[1])
before = peak()
write_report(sys.argv[2])
print(1e6 * (peak() - before))
"""


def test_the_page_of_many_clips_takes_little_more_memory_than_that_of_few(tmp_path):
    for name, rows in (('few', FEW), ('many', MANY)):
        (tmp_path / name).mkdir()
        write_table(tmp_path / name / 'scores.parquet', rows)
    command = [sys.executable, '-c', MEASURE, str(tmp_path / 'few'), str(tmp_path / 'many')]
    grown = float(subprocess.run(command, cwd=small.ROOT, check=True, capture_output=True, text=True).stdout)
    assert grown / (MANY - FEW) < MOST, f'{grown / (MANY - FEW):.0f} bytes a clip'
