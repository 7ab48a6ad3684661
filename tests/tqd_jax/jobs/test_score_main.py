"""python -m tqd_jax.score as a program: killed and started again, flat in memory, given scores, other libraries' maps, users' errors."""
import json
import os
import pathlib
import signal
import sqlite3
import subprocess
import sys
import time
from unittest import mock

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest
import small
from absl.testing import flagsaver
from light import Light

from tqd_jax import score as program
from tqd_jax.scoring import row
from tqd_jax.scoring.measures import VERSION
from tqd_jax.scoring.normaliser import Normaliser
from tqd_jax.scoring.store import RowStore
from tqd_jax.scoring.table import UNKNOWN

NAMES = [f'{number:02d}.mp4' for number in range(24)]


@pytest.fixture(scope='module')
def clips(tmp_path_factory):
    """Twenty-four small clips, the last of them a copy of the first, and a file that is no video."""
    folder = small.moving(tmp_path_factory.mktemp('clips'), NAMES, size=(144, 192), seconds=1.5)
    (folder / NAMES[-1]).write_bytes((folder / NAMES[0]).read_bytes())
    (folder / 'text.mp4').write_bytes(b'not a video')
    return folder


@pytest.fixture(scope='module')
def few(tmp_path_factory):
    return small.moving(tmp_path_factory.mktemp('few'), NAMES[:4])


def run(output, **values):
    """The table that the program writes in this process."""
    with flagsaver.flagsaver(**{'workers': 0, 'report': False, 'output': str(output)} | values):
        program.main(['score'])
    return pyarrow.parquet.read_table(output)


def counted(monkeypatch):
    """The paths that are measured from now on."""
    measured, real = [], row.score_clip
    monkeypatch.setattr(row, 'score_clip', lambda path, settings: (measured.append(path), real(path, settings))[1])
    return measured


KILLED = '''
import itertools, os, runpy, sys
from tqd_jax.scoring.store import RowStore
keep, kept, last = RowStore.put, itertools.count(1), int(sys.argv.pop(1))

def killed(store, *row):
    keep(store, *row)
    if next(kept) == last:
        os.kill(os.getpid(), 9)

RowStore.put = killed
runpy.run_module('tqd_jax.score', run_name='__main__', alter_sys=True)
'''


def start(*arguments, killed=None):
    """The running program; killed: the number of rows of its own after which it is."""
    how = ['-m', 'tqd_jax.score'] if killed is None else ['-c', KILLED, str(killed)]
    command = [sys.executable, *how, '--noreport', *arguments]
    return subprocess.Popen(command, cwd=small.ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True)


def finish(process):
    out, err = process.communicate(timeout=120)
    return process.returncode, out, err


def stored(store):
    """The ids written to a store, in that order, once for each time that they were: its trigger says so whoever writes."""
    base = sqlite3.connect(store)
    try:
        return [name for name, in base.execute('SELECT id FROM written ORDER BY rowid')]
    finally:
        base.close()


def watched(store):
    with RowStore(store, VERSION):
        base = sqlite3.connect(store)
    base.executescript('CREATE TABLE written (id TEXT); CREATE TRIGGER watch AFTER INSERT ON rows BEGIN '
                       'INSERT INTO written VALUES (new.id); END;')
    base.close()


def gone(session):
    """Whether all processes of a session end soon."""
    for _ in range(100):
        try:
            os.killpg(session, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.1)
    return False


def test_killed_again_and_again_it_loses_no_row_and_writes_the_same_table(clips, tmp_path):
    run(tmp_path / 'straight' / 'scores.parquet', clips=str(clips))
    output, store = tmp_path / 'scores.parquet', tmp_path / 'scores.parquet.store'
    watched(store)
    for killed, count in (2, 2), (11, 13):
        process = start(f'--clips={clips}', f'--output={output}', '--workers=2', killed=killed)
        assert finish(process)[0] == -signal.SIGKILL and not output.exists()
        assert len(stored(store)) == count and gone(process.pid)
    before = stored(store)
    assert finish(start(f'--clips={clips}', f'--output={output}', '--workers=2'))[0] == 0
    assert output.read_bytes() == (tmp_path / 'straight/scores.parquet').read_bytes()
    ids = pyarrow.parquet.read_table(output)['id'].to_pylist()
    again = stored(store)[len(before):]
    assert not set(again) & set(before) and set(before + again) == set(ids)
    assert len(ids) == len(NAMES) + 1 and len(set(ids)) == len(NAMES)


FLAT = r'''
import functools, pathlib, re, sys
import pyarrow as pa, pyarrow.parquet
from tqd_jax.scoring import engine, table
from tqd_jax.scoring.measures import MEASURES

made_up = {m.name: 0.123456789 for m in MEASURES} | {'motion': 0.1, 'visual': 0.2, 'width': 64, 'height': 64, 'fps': 8.0, 'duration': 1.0,
                                                     'fingerprint': 'ab' * 32}

def measure(paths):
    return ((path, made_up | {'id': f'{hash(path):032x}'}) for path in paths)

for count in (100, 10_000):
    paths, base = [f'/nowhere/{number}.mp4' for number in range(count)], pathlib.Path(sys.argv[1]) / str(count)
    engine.score_clips(paths, base, measure=measure)
    rows = functools.partial(engine.rows, paths, base)
    _, scored = table.write_scores(f'{base}.parquet', pa.table({'clip': paths}), rows)
    again = sum(1 for _ in table.rows_of(pa.parquet.read_table(f'{base}.parquet')))
    peak = re.search(r'VmHWM:\s+(\d+)', pathlib.Path('/proc/self/status').read_text())[1]  # ru_maxrss begins with the parent's
    print(count, scored, again, int(peak) // 1024)
'''


def test_memory_is_flat_in_the_number_of_clips(tmp_path):
    out = subprocess.run([sys.executable, '-c', FLAT, str(tmp_path)], cwd=small.ROOT, check=True, capture_output=True, text=True).stdout
    few, many = ([int(number) for number in line.split()] for line in out.splitlines())
    assert few[:3] == [100] * 3 and many[:3] == [10_000] * 3
    assert many[3] - few[3] < 40, f'{few[3]} MB, then {many[3]} MB'


def test_a_second_run_measures_nothing_wherever_the_clips_have_gone(tmp_path, monkeypatch):
    folder = small.moving(tmp_path / 'a', NAMES[:3])
    store = str(tmp_path / 'rows')
    first, measured = run(tmp_path / '1.parquet', clips=str(folder), store=store), counted(monkeypatch)
    assert run(tmp_path / '2.parquet', clips=str(folder), store=store).equals(first) and not measured
    folder.rename(tmp_path / 'b')
    (tmp_path / 'b' / NAMES[0]).rename(tmp_path / 'b' / 'z.mp4')
    moved = run(tmp_path / '3.parquet', clips=str(tmp_path / 'b'), store=store)
    assert not measured and sorted(moved['id'].to_pylist()) == sorted(first['id'].to_pylist())
    assert [pathlib.Path(clip).name for clip in moved['clip'].to_pylist()] == [*NAMES[1:3], 'z.mp4']
    (tmp_path / 'b' / 'z.mp4').write_bytes((small.moving(tmp_path / 'c', NAMES[:6]) / NAMES[5]).read_bytes())
    run(tmp_path / '4.parquet', clips=str(tmp_path / 'b'), store=store)
    assert [pathlib.Path(path).name for path in measured] == ['z.mp4']
    other = run(tmp_path / '5.parquet', clips=str(tmp_path / 'b'), store=store, flow='farneback')
    assert len(measured) == 4 and set(other['scorer_version'].to_pylist()) == {f'{VERSION},flow=farneback'}


def test_mq_and_vq_are_the_normalisers_own_or_anothers(few, tmp_path):
    table = run(tmp_path / 'a' / 'scores.parquet', clips=str(few))
    for raw, score in (('motion', 'mq'), ('visual', 'vq')):
        values = table[raw].to_numpy()
        np.testing.assert_array_equal(table[score].to_numpy(), Normaliser.fit(values)(values))
    one = small.moving(tmp_path / 'one', NAMES[:3]) / NAMES[2]
    kept = run(tmp_path / 'b.parquet', clips=str(one), normaliser=str(tmp_path / 'a' / 'normaliser.json'))
    assert kept['motion'][0] == table['motion'][2] and kept['mq'][0] == table['mq'][2] and kept['vq'][0] == table['vq'][2]
    assert run(tmp_path / 'c.parquet', clips=str(one))['mq'].to_pylist() == [0.5]


def test_given_scores_are_taken_and_the_other_axis_is_measured(few, tmp_path, monkeypatch):
    clips, measured, visual = [str(few / name) for name in NAMES[:4]], counted(monkeypatch), [4.1, 4.2, 4.3, 4.4]
    lines = [f'{clip},,{look},{10 - look},1,static,8,8,1' for clip, look in zip(clips, visual, strict=True)]
    (tmp_path / 'openvid.csv').write_text('video,caption,aesthetic score,motion score,temporal consistency score,camera motion,frame,fps,'
                                          'seconds\n' + '\n'.join(lines))
    table = run(tmp_path / 'a.parquet', scores=[str(tmp_path / 'openvid.csv')])
    assert not measured and table['visual'].to_pylist() == visual and table['clip'].to_pylist() == clips
    np.testing.assert_allclose(table['mq'].to_numpy(), [1, 2 / 3, 1 / 3, 0])
    plain = run(tmp_path / 'b.parquet', clips=str(few))
    pa.parquet.write_table(pa.table({'path': clips, 'aesthetic': visual}), tmp_path / 'laion.parquet')
    measured.clear()
    beside = run(tmp_path / 'c.parquet', clips=str(few), scores=[str(tmp_path / 'laion.parquet')])
    assert len(measured) == 4 and beside['visual'].to_pylist() == visual and beside['motion'].equals(plain['motion'])


def test_scores_are_matched_by_absolute_path_and_never_mixed_with_others(few, tmp_path, monkeypatch, capsys):
    laion = lambda paths: pa.parquet.write_table(pa.table({'path': paths, 'aesthetic': [4.5, 4.6]}), tmp_path / 'laion.parquet')
    given = lambda clips, output: run(tmp_path / output, clips=clips, scores=[str(tmp_path / 'laion.parquet')], tool='laion')
    own = '\n'.join(f'{few / name},{i},{i},clip {i}' for i, name in enumerate(NAMES[:4]))
    (tmp_path / 'own.csv').write_text(f'clip,motion,visual,caption\n{own}')
    laion([str(few / name) for name in NAMES[:2]])
    monkeypatch.chdir(few.parent)
    beside, measured = given(few.name, 'a.parquet'), counted(monkeypatch)
    assert beside['visual'].to_pylist() == [4.5, 4.6, None, None] and beside['reason'][2].as_py() == UNKNOWN
    assert beside['motion'].null_count == 2 and '2 of 4 clips found in --scores' in capsys.readouterr().out
    kept = given(str(tmp_path / 'own.csv'), 'b.parquet')
    assert not measured and kept['visual'].to_pylist() == [4.5, 4.6, None, None] and kept['motion'].to_pylist()[:2] == [0, 1]
    assert kept['caption'].to_pylist() == [f'clip {i}' for i in range(4)]
    laion(['/elsewhere/0.mp4', '/elsewhere/1.mp4'])
    with pytest.raises(SystemExit):
        given(str(tmp_path / 'own.csv'), 'c.parquet')
    assert 'of /elsewhere/0.mp4 there' in capsys.readouterr().err


def test_retry_asks_again_for_what_could_not_be_read(tmp_path, monkeypatch, capsys):
    clips = small.moving(tmp_path / 'clips', NAMES[:3])
    real, fails = row.score_clip, [True]
    monkeypatch.setattr(row, 'score_clip', lambda path, settings: real(path, settings) if not fails or path[-6:] != '01.mp4' else 1 / 0)
    first = run(tmp_path / 'a.parquet', clips=str(clips))
    assert first['reason'].null_count == 2 and '1 could not be read, or not in time: --retry asks again' in capsys.readouterr().out
    fails.clear()
    assert run(tmp_path / 'a.parquet', clips=str(clips)).equals(first)
    measured = counted(monkeypatch)
    again = run(tmp_path / 'a.parquet', clips=str(clips), retry=True)
    assert again['reason'].null_count == 3 and [path[-6:] for path in measured] == ['01.mp4']


def test_a_table_of_another_version_is_measured_anew(few, tmp_path, monkeypatch):
    run(tmp_path / 'a.parquet', clips=str(few))
    anew, measured = run(tmp_path / 'b.parquet', clips=str(tmp_path / 'a.parquet'), flow='farneback'), counted(monkeypatch)
    assert anew['scorer_version'].to_pylist() == [f'{VERSION},flow=farneback'] * 4
    plain = run(tmp_path / 'c.parquet', clips=str(few), flow='farneback')
    assert anew.equals(plain.select(anew.column_names)) and len(measured) == 4


def test_given_scores_outlive_another_version_and_a_retry(few, tmp_path, monkeypatch):
    clips, looks = [str(few / name) for name in NAMES[:4]], [4.1, 4.2, 4.3, 4.4]
    pa.parquet.write_table(pa.table({'path': clips, 'aesthetic': looks}), tmp_path / 'laion.parquet')
    pa.parquet.write_table(pa.table({'clip': clips, 'motion': looks, 'visual': looks}), tmp_path / 'own.parquet')
    run(tmp_path / 'a.parquet', clips=str(few), scores=[str(tmp_path / 'laion.parquet')])
    run(tmp_path / 'b.parquet', clips=str(tmp_path / 'own.parquet'))
    anew = run(tmp_path / 'c.parquet', clips=str(tmp_path / 'a.parquet'), flow='farneback')
    plain = run(tmp_path / 'd.parquet', clips=str(few))
    assert anew['visual'].to_pylist() == looks and not anew['motion'].equals(plain['motion'])
    assert anew['scorer_version'].to_pylist() == [f'{VERSION},flow=farneback,given=visual'] * 4
    measured = counted(monkeypatch)
    kept = run(tmp_path / 'e.parquet', clips=str(tmp_path / 'b.parquet'), retry=True)
    assert not measured and kept['motion'].to_pylist() == looks and kept['scorer_version'].to_pylist() == ['given'] * 4


def test_a_given_clip_that_was_replaced_is_seen_by_learned_scorers_again(tmp_path, monkeypatch):
    clips = small.moving(tmp_path / 'clips', NAMES[:3])
    pa.parquet.write_table(pa.table({'clip': [str(clips / name) for name in NAMES[:2]], 'motion': [1.0, 2.0], 'visual': [1.0, 2.0]}),
                           tmp_path / 'own.parquet')
    scorers = [f'{__name__}:light']
    value = lambda: run(tmp_path / 'a.parquet', clips=str(tmp_path / 'own.parquet'), scorers=scorers)['light_mean'].to_pylist()
    first = value()
    (clips / NAMES[1]).write_bytes((clips / NAMES[2]).read_bytes())
    assert value()[0] == first[0] and value()[1] != first[1]


@pytest.mark.parametrize('error, code, said', [(OSError(28, 'No space left on device'), 2, 'error: [Errno 28] No space'),
                                               (sqlite3.OperationalError('database or disk is full'), 2, 'error: database or disk is full'),
                                               (KeyboardInterrupt(), 130, 'stopped; the same command goes on')])
def test_a_full_disk_and_a_stop_are_one_line(monkeypatch, capsys, error, code, said):
    monkeypatch.setattr(program, 'run', mock.Mock(side_effect=error))
    with pytest.raises(SystemExit) as stop:
        program.main(['score'])
    err = capsys.readouterr().err
    assert stop.value.code == code and err.startswith(said) and err.count('\n') == 1


def test_what_hardly_moves_to_the_codec_is_told_so(tmp_path):
    folder = small.moving(tmp_path / 'clips', ['0.mp4', '1.mp4', '2.mp4', '3.mp4'], size=(96, 128))  # the first stands still
    table = run(tmp_path / 'scores.parquet', clips=str(folder), min_codec_motion=0.01)
    assert 'hardly moves' in table['reason'][0].as_py() and table['reason'].null_count == 3
    assert table['motion_codec'][3].as_py() > 0.01 and table['scorer_version'][0].as_py() == f'{VERSION},min_codec_motion=0.01'


def light():
    return Light()


def test_learned_columns_stand_beside_the_measured_ones(few, tmp_path, monkeypatch):
    plain, scorers = run(tmp_path / 'a.parquet', clips=str(few)), [f'{__name__}:light']
    learned = run(tmp_path / 'b.parquet', clips=str(few), scorers=scorers)
    assert learned.select(plain.column_names).equals(plain)
    assert learned['light_mean'].null_count == 0 and min(learned['light_mean'].to_pylist()) > 30
    measured = counted(monkeypatch)
    monkeypatch.setattr(Light, '__call__', lambda self, frames: pytest.fail('scored again'))
    assert run(tmp_path / 'b.parquet', clips=str(few), scorers=scorers).equals(learned) and not measured


def test_a_table_of_ours_is_a_manifest_that_needs_no_measuring(few, tmp_path, monkeypatch):
    first, measured = run(tmp_path / 'a.parquet', clips=str(few)), counted(monkeypatch)
    assert run(tmp_path / 'b.parquet', clips=str(tmp_path / 'a.parquet')).select(first.column_names).equals(first) and not measured


ERRORS = {
    'no clips': ({}, '--clips is missing'),
    'nowhere': ({'clips': '/nowhere/at/all'}, 'there is no folder or manifest /nowhere/at/all'),
    'no normaliser': ({'normaliser': 'logit'}, '--normaliser=logit is neither rank'),
    'half a normaliser': ({'normaliser': '{folder}/half.json'}, 'no fitted'),
    'no NIQE model': ({'niqe': '{folder}/half.json'}, 'holds no NIQE model'),
    'no scorer': ({'scorers': ['nothing:at_all']}, 'nothing cannot be imported'),
    'a store elsewhere': ({'store': 'memory://rows'}, '--store: memory://rows is a URL'),
    'a store that is none': ({'store': '{folder}/half.json'}, 'file is not a database'),
    'an output of no known kind': ({'output': 'nope://b/s.parquet', 'store': '{folder}/rows'}, 'nope://b/s.parquet cannot be opened'),
    'a folder as output': ({'output': '{folder}'}, 'is a folder'),
    'a file as folder': ({'output': '{folder}/half.json/scores.parquet'}, 'not be written'),
    'no scores': ({'scores': ['{folder}/none.csv']}, 'none.csv'),
}


@pytest.mark.parametrize('name', ERRORS)
def test_a_users_error_is_one_line_and_code_2_before_anything_is_measured(few, tmp_path, monkeypatch, capsys, name):
    changes, said = ERRORS[name]
    (tmp_path / 'half.json').write_text(json.dumps({'motion': {'kind': 'rank', 'knots': [0, 1]}}) + ' ' * 1000)
    fill = lambda value: [fill(one) for one in value] if isinstance(value, list) else value.format(folder=tmp_path)
    changes, measured = {key: fill(value) for key, value in changes.items()}, counted(monkeypatch)
    with pytest.raises(SystemExit) as stop:
        run(**{'output': tmp_path / 'scores.parquet', 'clips': str(few) if changes else None} | changes)
    err = capsys.readouterr().err
    assert stop.value.code == 2 and err.startswith('error: ') and said in err and err.count('\n') == 1 and not measured


@pytest.mark.parametrize('word, message', [
    ('--clisp=/nowhere', "Unknown command line flag 'clisp'. Did you mean: clips"),
    ('--least_codec_motion=0.1', '--least_codec_motion was renamed: write --min_codec_motion\n'),
    ('--timeout=0.5', 'flag --timeout=0.5: must be a number, at least 1; inf is no limit'),
    ('--timeout=nan', 'flag --timeout=nan: must be a number'),
    ('--workers=two', 'flag --workers=two: '),
    ('--flow=hs', 'flag --flow=hs: must be one of dis'),
    ('--output=', 'flag --output=: must be text'),
])
def test_a_bad_flag_is_one_line_and_code_2(capsys, word, message):
    with flagsaver.flagsaver(), pytest.raises(SystemExit) as stop:
        program.parse(['score', word])
    err = capsys.readouterr().err
    assert stop.value.code == 2 and err.startswith(f'error: {message}') and err.count('\n') == 1


def test_empty_texts_are_none_and_no_limit_of_time_is_a_limit():
    with flagsaver.flagsaver():
        program.parse(['score', '--niqe=', '--store=', '--tool=', '--scratch=', '--clips=', '--scores=', '--beam=', '--timeout=inf'])
        config = program.command()
    assert (config.niqe, config.store, config.tool, config.scratch, config.clips) == (None,) * 5
    assert config.scores == () and config.beam == '' and config.timeout == float('inf')
    assert config.settings.version == VERSION and config.store_path == 'scores.parquet.store'


def test_the_program_answers_a_misspelt_flag_and_an_argument_is_no_flag(capsys):
    code, _, err = finish(start('--clisp=/nowhere'))
    assert code == 2 and err.startswith('error: Unknown command line flag') and err.count('\n') == 1
    with pytest.raises(SystemExit) as stop:
        program.parse(['score', '/nowhere'])
    said = "error: '/nowhere' is no flag: flags are written --name=value; --help lists them\n"
    assert stop.value.code == 2 and capsys.readouterr().err == said
