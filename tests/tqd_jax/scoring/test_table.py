"""scores.parquet: its columns, whose scores they are, reasons, paths, row groups; whole or not there; and back into rows and maps."""
import json
import math
import os

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest
import stores

from tqd_jax.clips.manifest import read_clips
from tqd_jax.scoring import table
from tqd_jax.scoring.measures import MEASURES
from tqd_jax.scoring.normaliser import KINDS, Normaliser
from tqd_jax.scoring.table import SCHEMA, UNKNOWN, load_maps, rows_of, save_maps, write_scores
from tqd_jax.scoring.versions import is_scored
from transfer_jax.runtime.errors import UserError
from transfer_jax.runtime.paths import local_copy, path_of

COUNT = 9


@pytest.fixture
def rows():
    """Nine rows as score.rows gives them; the fourth has a reason, the sixth a motion that is none."""
    rng = np.random.default_rng(0)
    raw = lambda: {m.name: float(rng.normal()) for m in MEASURES} | {name: float(rng.uniform()) for name in ('motion', 'visual')}
    made = [{'clip': f'/clips/{i}.mp4', 'scorer_version': '7', 'id': f'{i:032x}', **raw(), 'width': 64, 'height': 48, 'fps': 8.0,
             'duration': 1.5, 'fingerprint': 'ab'} for i in range(COUNT)]
    made[3] = {'clip': '/clips/3.mp4', 'scorer_version': '7', 'reason': 'took too long'}
    made[5]['motion'] = math.nan
    return made


def listed(rows, **columns):
    return pa.table({'clip': [row['clip'] for row in rows]} | columns)


def written(folder, rows, clips=None, *options, **named):
    """(columns as lists, maps, how many are scored) of the table that is written."""
    clips = listed(rows) if clips is None else clips
    maps, scored = write_scores(str(folder / 'scores.parquet'), clips, lambda: iter(rows), *options, **named)
    return pyarrow.parquet.read_table(folder / 'scores.parquet'), maps, scored


@pytest.mark.parametrize('kind', KINDS)
def test_values_are_the_rows_and_scores_the_normalisers_of_the_scored(rows, tmp_path, kind):
    scores, maps, scored = written(tmp_path, rows, None, kind)
    assert scores.schema.equals(SCHEMA) and scored == COUNT - 2
    assert scores.column_names[:5] == ['clip', 'motion', 'visual', 'mq', 'vq'] and scores.column_names[-2:] == ['scorer_version', 'reason']
    good = [i for i in range(COUNT) if i not in (3, 5)]
    for i, row in enumerate(scores.to_pylist()):
        if i in good:
            assert rows[i].items() <= row.items() and row['reason'] is None
        else:
            assert {name for name, value in row.items() if value is not None} <= {'clip', 'id', 'scorer_version', 'reason'}
    assert scores['reason'][3].as_py() == 'took too long' and scores['reason'][5].as_py() == UNKNOWN
    for axis, score in (('motion', 'mq'), ('visual', 'vq')):
        values = np.array([rows[i][axis] for i in good])
        assert maps[axis] == Normaliser.fit(values, kind)
        np.testing.assert_array_equal(scores[score].take(good).to_numpy(), maps[axis](values))


def test_fitted_maps_are_used_as_they_are(rows, tmp_path):
    maps = {'motion': Normaliser(kind='minmax', knots=(0.0, 2.0)), 'visual': Normaliser(kind='minmax', knots=(-1.0, 1.0))}
    scores, kept, _ = written(tmp_path, rows, None, maps)
    assert kept == maps and scores['mq'][0].as_py() == rows[0]['motion'] / 2 and scores['vq'][0].as_py() == (rows[0]['visual'] + 1) / 2


@pytest.mark.parametrize('chunk, group', [(1, 1), (2, 4), (3, 3), (3, 9), (4, 100)])
def test_rows_do_not_depend_on_how_many_are_written_at_a_time(rows, tmp_path, monkeypatch, chunk, group):
    clips, learned = listed(rows, tag=[f'tag {i}' for i in range(COUNT)]), [row | {'light': float(i)} for i, row in enumerate(rows)]
    expected = written(tmp_path, learned, clips, more=('light',))[0]
    monkeypatch.setattr(table, 'CHUNK', chunk)
    monkeypatch.setattr(table, 'GROUP', group)
    assert written(tmp_path, learned, clips, more=('light',))[0].equals(expected)
    assert expected['tag'].to_pylist() == clips['tag'].to_pylist()
    assert expected['light'].to_pylist() == [None if i in (3, 5) else float(i) for i in range(COUNT)]


def test_given_scores_stand_in_place_of_the_measured(rows, tmp_path):
    motion = [float(i) for i in range(COUNT)]
    scores, _, scored = written(tmp_path, rows, listed(rows, motion=motion))
    assert scored == COUNT - 1 and scores['motion'].to_pylist() == [*motion[:3], None, *motion[4:]]
    assert scores['visual'][0].as_py() == rows[0]['visual'] and scores['mq'][8].as_py() == 1
    mq, vq = np.linspace(0, 1, COUNT), np.linspace(1, 0, COUNT)
    scores, _, _ = written(tmp_path, rows, listed(rows, mq=mq, vq=vq))
    assert (scores['mq'][8].as_py(), scores['vq'][8].as_py()) == (1, 0) and scores['motion'][8].as_py() == rows[8]['motion']
    scores, _, scored = written(tmp_path, rows, listed(rows, motion=pa.array([None, *motion[1:]], pa.float64()), visual=motion))
    assert scores['reason'][0].as_py() == UNKNOWN and scored == COUNT - 2, 'a measured one would be on another scale'


def test_a_reason_of_the_second_pass_leaves_no_scores(rows, tmp_path):
    passes = [rows, [*rows[:1], {**rows[3], 'clip': rows[1]['clip']}, *rows[2:]]]
    _, scored = write_scores(str(tmp_path / 'scores.parquet'), listed(rows), lambda: iter(passes.pop(0)))
    row = pyarrow.parquet.read_table(tmp_path / 'scores.parquet').to_pylist()[1]
    assert {name for name, value in row.items() if value is not None} == {'clip', 'scorer_version', 'reason'} and scored == COUNT - 3


def test_columns_of_a_manifest_that_have_our_names_are_kept(rows, tmp_path):
    scores, _, _ = written(tmp_path, rows, listed(rows, id=[f'own {i}' for i in range(COUNT)]))
    assert scores['source_id'][2].as_py() == 'own 2' and scores['id'][2].as_py() == rows[2]['id']


def test_no_scored_clip_at_all_is_a_table_of_reasons(rows, tmp_path):
    scores, maps, scored = written(tmp_path, [rows[3]])
    assert maps == {} and scored == 0 and scores['mq'].null_count == 1 and scores['reason'].to_pylist() == ['took too long']


def test_relative_paths_are_seen_from_the_tables_folder(rows, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / 'out').mkdir()
    relative = [row | {'clip': f'clips/{i}.mp4'} for i, row in enumerate(rows[:2])] + [rows[2], rows[4] | {'clip': 'gs://bucket/a.mp4'}]
    write_scores('out/scores.parquet', listed(relative), lambda: iter(relative))
    names = pyarrow.parquet.read_table('out/scores.parquet')['clip'].to_pylist()
    assert names == ['../clips/0.mp4', '../clips/1.mp4', '/clips/2.mp4', 'gs://bucket/a.mp4']
    os.remove('out/scores.parquet')
    (tmp_path / 'clips').mkdir()
    (tmp_path / 'elsewhere/deep').mkdir(parents=True)
    (tmp_path / 'linked').symlink_to('elsewhere/deep')
    for name in ('clips/0.mp4', 'clips/1.mp4'):
        (tmp_path / name).touch()
    for folder in ('out', 'linked'):
        monkeypatch.chdir(tmp_path)
        write_scores(f'{folder}/scores.parquet', listed(relative[:3]), lambda: iter(relative[:3]))
        monkeypatch.chdir('/')
        *found, absolute = read_clips(str(tmp_path / folder / 'scores.parquet'))['clip'].to_pylist()
        assert absolute == '/clips/2.mp4' and all(os.path.samefile(path, tmp_path / f'clips/{i}.mp4') for i, path in enumerate(found))


def test_it_is_whole_or_as_it_was(rows, tmp_path):
    written(tmp_path, rows)
    before, asked = (tmp_path / 'scores.parquet').read_bytes(), []

    def fails_the_second_time():
        asked.append(0)
        yield from rows[:2] if len(asked) == 2 else rows
        if len(asked) == 2:
            raise RuntimeError('the disk is gone')

    with pytest.raises(RuntimeError, match='disk'):
        write_scores(str(tmp_path / 'scores.parquet'), listed(rows), fails_the_second_time)
    assert (tmp_path / 'scores.parquet').read_bytes() == before and os.listdir(tmp_path) == ['scores.parquet']
    with pytest.raises(UserError, match='cannot be written'):
        written(tmp_path / 'no such folder', rows)


def test_a_url_is_written_as_a_file_is(rows, tmp_path):
    written(tmp_path, rows)
    url = f'{stores.gs_folder()}/scores.parquet'
    write_scores(url, listed(rows), lambda: iter(rows))
    with local_copy(path_of(url)) as copy:
        assert copy.read_bytes() == (tmp_path / 'scores.parquet').read_bytes()


def test_the_table_comes_back_as_rows(rows, tmp_path):
    scores, _, _ = written(tmp_path, rows)
    assert is_scored(read_clips(str(tmp_path / 'scores.parquet')))
    again = list(rows_of(scores))
    assert ['reason' in row for row in again] == [i in (3, 5) for i in range(COUNT)]
    assert all(rows[i].items() <= again[i].items() for i in range(COUNT) if i not in (3, 5))
    twice, _, _ = written(tmp_path, again, scores.drop_columns(['mq', 'vq']))
    assert twice.equals(scores)


def test_what_is_not_ours_is_not_taken_for_measured(rows, tmp_path):
    scores, _, _ = written(tmp_path, rows)
    assert is_scored(scores) and not is_scored(scores.drop_columns(['id'])) and not is_scored(listed(rows))
    given = scores.set_column(scores.column_names.index('width'), 'width', pa.nulls(COUNT, pa.int32()))
    assert not is_scored(given), 'of given scores, no size is known'


def test_maps_come_back_exactly(tmp_path):
    values = np.random.default_rng(0).lognormal(size=(2, 50))
    maps = {'motion': Normaliser.fit(values[0]), 'visual': Normaliser.fit(values[1], 'zscore')}
    save_maps(tmp_path / 'maps.json', maps)
    assert load_maps(tmp_path / 'maps.json') == maps


@pytest.mark.parametrize('text', ['{}', '[]', 'null', 'no json', '{"motion": {"kind": "rank"}, "visual": 3}', '"motion"',
                                  json.dumps({name: {'kind': 'other', 'knots': [1]} for name in ('motion', 'visual')})])
def test_other_files_are_no_maps(tmp_path, text):
    path = tmp_path / 'maps.json'
    path.write_text(text)
    with pytest.raises(ValueError, match=r'no fitted|Expecting value|a normaliser is one of'):
        load_maps(path)
