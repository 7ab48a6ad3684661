"""A Beam pipeline measures what this machine does, byte for byte, also where it was interrupted; and docs/scoring.md tells the columns."""
import dataclasses
import os
import pathlib
import re
import subprocess
import sys
import time

import numpy as np
import pyarrow.parquet
import pytest

from tqd_jax.clips.write import write_clip
from tqd_jax.scoring import engine as score
from tqd_jax.scoring.measures import MEASURES
from tqd_jax.scoring.row import Settings, measured_row
from transfer_jax.runtime.errors import UserError

ROOT = pathlib.Path(__file__).parents[3]
IN_MEMORY = '--runner=DirectRunner --direct_running_mode=in_memory'
PROCESSES = '--runner=DirectRunner --direct_num_workers=2 --direct_running_mode=multi_processing'


@pytest.fixture(scope='module')
def cluster():
    pytest.importorskip('apache_beam', reason="Apache Beam is the extra: pip install 'tqd-jax[beam]'")
    from tqd_jax.scoring import beam as cluster
    return cluster


@pytest.fixture(scope='module')
def clips(tmp_path_factory):
    """Five small clips, one of them twice, two files that are none, and one that is not there."""
    folder, rng = tmp_path_factory.mktemp('clips'), np.random.default_rng(0)
    for number in range(5):
        picture = rng.integers(0, 256, (64, 96, 3), dtype=np.uint8)
        write_clip(folder / f'clip {number}.mp4', np.stack([np.roll(picture, number * step, axis=1) for step in range(8)]), 8)
    (folder / 'copy.mp4').write_bytes((folder / 'clip 1.mp4').read_bytes())
    (folder / 'text.mp4').write_bytes(b'not a video')
    (folder / 'empty ü.mp4').write_bytes(b'')
    (folder / 'gone.mp4').symlink_to(folder / 'nowhere')
    return folder


def paths_in(folder):
    return [str(path) for path in sorted(folder.iterdir())]


def beam_rows(cluster, paths, folder, options=IN_MEMORY, settings=Settings(), **more):
    """The rows after a pipeline over what is missing, and the progress that was told."""
    store, told = folder / 'store', []
    measure = lambda missing: cluster.in_beam(missing, settings, store, options=options, scratch=str(folder / 'scratch'), **more)
    score.score_clips(paths, store, settings, measure=measure, progress=lambda done, total, **_: told.append((done, total)))
    return list(score.rows(paths, store, settings)), told


def test_the_table_is_the_local_one_byte_for_byte(cluster, clips, tmp_path):
    tables = {}
    for name, by in {'local': '--workers=1', 'beam': f'--beam={PROCESSES}'}.items():
        (tmp_path / name).mkdir()
        subprocess.run([sys.executable, '-m', 'tqd_jax.score', f'--clips={clips}', f'--output={tmp_path / name / "scores.parquet"}', by,
                        '--noreport'], cwd=ROOT, check=True, capture_output=True)
        tables[name] = (tmp_path / name / 'scores.parquet').read_bytes()
    assert tables['beam'] == tables['local']
    reasons = pyarrow.parquet.read_table(tmp_path / 'beam' / 'scores.parquet')['reason']
    assert len(reasons) - reasons.null_count == 3 and reasons.null_count == 6
    assert not list((tmp_path / 'beam' / 'scores.parquet.scratch').iterdir())


def interrupted_at(path, settings, known):
    """Measures, says so in a file, and raises on one clip while a file says so."""
    folder = pathlib.Path(os.environ['TQD_TEST_FOLDER'])
    if 'clip 3' in path and (folder / 'interrupt').exists():
        while not list((folder / 'scratch').rglob('rows-*')):  # the order of a pipeline is its own: others must come first
            time.sleep(0.05)
        raise InterruptedError('the machine is wanted for something else')
    with open(folder / 'measured', 'a') as log:
        log.write(f'{path}\n')
    return measured_row(path, settings, known)


def test_an_interrupted_pipeline_goes_on(cluster, clips, tmp_path, monkeypatch):
    monkeypatch.setenv('TQD_TEST_FOLDER', str(tmp_path))
    monkeypatch.setattr(cluster, 'PERIOD', 0.0)
    paths = sorted(paths_in(clips), key=lambda path: 'clip 3' in path)
    (tmp_path / 'interrupt').touch()
    with pytest.raises(Exception, match='wanted for something else'):
        beam_rows(cluster, paths, tmp_path, measure=interrupted_at)
    left = cluster.Scratch(str(tmp_path / 'scratch'), f'{tmp_path / "store"} {Settings().version}').read('rows')
    written = {path for path, _, row in left if 'id' in row}
    assert written and not any('clip 3' in path for path in written)
    (tmp_path / 'interrupt').unlink()
    (tmp_path / 'measured').write_text('')
    rows, told = beam_rows(cluster, paths, tmp_path, measure=interrupted_at)
    assert written.isdisjoint((tmp_path / 'measured').read_text().splitlines())
    assert told[-1] == (9, 9) and len(told) == 9
    score.score_clips(paths, tmp_path / 'local', Settings())
    assert rows == list(score.rows(paths, tmp_path / 'local'))
    beam_rows(cluster, paths, tmp_path, measure=None)  # nothing is missing: no pipeline, no measuring


def test_a_row_of_a_file_that_changed_is_not_taken_up(cluster, clips, tmp_path):
    path, store = tmp_path / 'a.mp4', tmp_path / 'store'
    path.write_bytes((clips / 'clip 1.mp4').read_bytes())
    files = cluster.Scratch(str(tmp_path / 'scratch'), f'{store} {Settings().version}')
    files.write('rows', [(str(path), score.stamp(str(path)), measured_row(str(path)))])
    path.write_bytes((clips / 'clip 2.mp4').read_bytes())
    os.utime(path, (1, 1))
    assert beam_rows(cluster, [str(path)], tmp_path)[0][0]['id'] == measured_row(str(path))['id']


def trouble(path, settings, known):
    if 'clip 1' in path:
        os._exit(9)
    if 'clip 2' in path:
        time.sleep(60)
    return {'id': path, 'jax': 'jax' in sys.modules, 'beam': 'apache_beam' in sys.modules}


def test_limits_hold_in_processes_without_jax_and_beam(cluster, clips, tmp_path):
    paths = [str(clips / f'clip {number}.mp4') for number in range(4)]
    rows, _ = beam_rows(cluster, paths, tmp_path, measure=trouble, timeout=3.0)
    assert 'died (exit code 9)' in rows[1]['reason'] and rows[2]['reason'] == 'took longer than 3 s to read and measure'
    assert [(row['jax'], row['beam']) for row in (rows[0], rows[3])] == [(False, False)] * 2
    assert hasattr(sys.modules['__main__'], '__file__') or 'PYTEST_XDIST_WORKER' in os.environ  # given back by the processes' starts
    score.score_clips(paths, tmp_path / 'local', measure=lambda missing: score.in_processes(
        missing, Settings(), tmp_path / 'local', workers=1, timeout=3.0, measure=trouble))
    assert [row | {'beam': 0} for row in score.rows(paths, tmp_path / 'local')] == [row | {'beam': 0} for row in rows]


def test_half_a_line_is_left_out_and_scratch_may_be_remote(cluster, tmp_path):
    files = cluster.Scratch('memory://bucket/folder', 'key')
    assert list(files.read('rows')) == []
    name = files.write('rows', [['a', 1], ['ü\n', 2]])
    files._system.pipe_file(name, files._system.cat_file(name) + b'["c", 3')
    assert list(files.read('rows')) == [['a', 1], ['ü\n', 2]] and list(files.read('paths')) == []
    files.remove()
    assert list(files.read('rows')) == []


@pytest.mark.parametrize('options', ['--runer=DirectRunner', '--direct_num_workers=many'])
def test_what_is_no_option_of_beam_is_an_error(cluster, options):
    with pytest.raises(UserError, match='--beam'):
        cluster.options_of(options)


def test_without_beam_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, 'apache_beam', None)
    monkeypatch.delitem(sys.modules, 'tqd_jax.scoring.beam', raising=False)
    with pytest.raises(UserError, match=re.escape("pip install 'tqd-jax[beam]'")):
        __import__('tqd_jax.scoring.beam')


def test_the_document_tells_every_measure():
    rows = re.findall(r'^\| `(\w+)` \| (motion|visual) \| (.*?) \| (.*?) \|$', (ROOT / 'docs/scoring.md').read_text(), re.MULTILINE)
    assert rows == [dataclasses.astuple(measure) for measure in MEASURES]
