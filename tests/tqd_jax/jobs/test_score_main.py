"""python -m tqd_jax.score: what is measured anew and what is not, whose maps make mq and vq, and learned columns."""
import pathlib

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import small
from light import Light
from score_job import NAMES, measured_paths, run

from tqd_jax.scoring import row
from tqd_jax.scoring.config import ScoreConfig
from tqd_jax.scoring.library import score_library
from tqd_jax.scoring.measures import VERSION
from tqd_jax.scoring.normaliser import Normaliser


@pytest.fixture(scope='module')
def few(tmp_path_factory):
    return small.moving(tmp_path_factory.mktemp('few'), NAMES[:4])


def test_a_second_run_measures_nothing_wherever_the_clips_have_gone(tmp_path, monkeypatch):
    folder = small.moving(tmp_path / 'a', NAMES[:3])
    store = str(tmp_path / 'rows')
    first, measured = run(tmp_path / '1.parquet', clips=str(folder), store=store), measured_paths(monkeypatch)
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
    one_row = run(tmp_path / 'b.parquet', clips=str(one), normaliser=str(tmp_path / 'a' / 'normaliser.json'))
    assert all(one_row[column][0] == table[column][2] for column in ('motion', 'mq', 'vq'))
    assert run(tmp_path / 'c.parquet', clips=str(one))['mq'].to_pylist() == [0.5]


def test_there_is_no_normaliser_file_where_none_was_fitted(tmp_path):
    (tmp_path / 'clips').mkdir()
    (tmp_path / 'clips' / 'text.mp4').write_bytes(b'not a video')
    run(tmp_path / 'scores.parquet', clips=str(tmp_path / 'clips'))
    assert not (tmp_path / 'normaliser.json').exists()


def test_retry_asks_again_for_what_could_not_be_read(tmp_path, monkeypatch, capsys):
    clips = small.moving(tmp_path / 'clips', NAMES[:3])
    real, fails = row.score_clip, [True]
    monkeypatch.setattr(row, 'score_clip', lambda path, settings: real(path, settings) if not fails or path[-6:] != '01.mp4' else 1 / 0)
    first = run(tmp_path / 'a.parquet', clips=str(clips))
    assert first['reason'].null_count == 2 and '1 could not be read, or not in time: --retry asks again' in capsys.readouterr().out
    fails.clear()
    assert run(tmp_path / 'a.parquet', clips=str(clips)).equals(first)
    measured = measured_paths(monkeypatch)
    again = run(tmp_path / 'a.parquet', clips=str(clips), retry=True)
    assert again['reason'].null_count == 3 and [path[-6:] for path in measured] == ['01.mp4']


def test_a_table_of_another_version_is_measured_anew(few, tmp_path, monkeypatch):
    run(tmp_path / 'a.parquet', clips=str(few))
    anew, measured = run(tmp_path / 'b.parquet', clips=str(tmp_path / 'a.parquet'), flow='farneback'), measured_paths(monkeypatch)
    assert anew['scorer_version'].to_pylist() == [f'{VERSION},flow=farneback'] * 4
    plain = run(tmp_path / 'c.parquet', clips=str(few), flow='farneback')
    assert anew.equals(plain.select(anew.column_names)) and len(measured) == 4


def test_a_clip_that_hardly_moves_by_the_codec_gets_a_reason(tmp_path):
    folder = small.moving(tmp_path / 'clips', ['0.mp4', '1.mp4', '2.mp4', '3.mp4'], size=(96, 128))  # the first stands still
    table = run(tmp_path / 'scores.parquet', clips=str(folder), min_codec_motion=0.01)
    assert 'hardly moves' in table['reason'][0].as_py() and table['reason'].null_count == 3
    assert table['motion_codec'][3].as_py() > 0.01 and table['scorer_version'][0].as_py() == f'{VERSION},min_codec_motion=0.01'


def test_learned_columns_stand_beside_the_measured_ones(few, tmp_path, monkeypatch):
    plain, scorers = run(tmp_path / 'a.parquet', clips=str(few)), ['light:Light']
    learned = run(tmp_path / 'b.parquet', clips=str(few), scorers=scorers)
    assert learned.select(plain.column_names).equals(plain)
    assert learned['light_mean'].null_count == 0 and min(learned['light_mean'].to_pylist()) > 30
    measured = measured_paths(monkeypatch)
    monkeypatch.setattr(Light, '__call__', lambda self, frames: pytest.fail('scored again'))
    assert run(tmp_path / 'b.parquet', clips=str(few), scorers=scorers).equals(learned) and not measured


def test_a_score_table_is_a_manifest_that_needs_no_measuring(few, tmp_path, monkeypatch):
    first, measured = run(tmp_path / 'a.parquet', clips=str(few)), measured_paths(monkeypatch)
    assert run(tmp_path / 'b.parquet', clips=str(tmp_path / 'a.parquet')).select(first.column_names).equals(first) and not measured


def test_whether_the_camera_counts_is_a_formula_that_measures_nothing_anew(few, tmp_path, monkeypatch):
    store = str(tmp_path / 'rows')
    counted, measured = run(tmp_path / 'a.parquet', clips=str(few), store=store), measured_paths(monkeypatch)
    assert counted['motion'].equals(counted['motion_top'])
    for name, clips, options in (('b', few, {'store': store}), ('c', tmp_path / 'a.parquet', {})):
        other = run(tmp_path / f'{name}.parquet', clips=str(clips), camera=False, **options)
        assert other['motion'].equals(other['motion_object']) and other['motion_object'].equals(counted['motion_object'])
        assert set(other['scorer_version'].to_pylist()) == {f'{VERSION},camera=False'}
        np.testing.assert_array_equal(other['mq'].to_numpy(), Normaliser.fit(other['motion'].to_numpy())(other['motion'].to_numpy()))
    back = run(tmp_path / 'd.parquet', clips=str(tmp_path / 'c.parquet'))
    assert back.select(counted.column_names).equals(counted) and not measured


def test_training_takes_a_table_with_or_without_the_camera_as_it_is_and_never_a_mixture(few, tmp_path, monkeypatch):
    tables = {camera: run(tmp_path / f'{camera}.parquet', clips=str(few), camera=camera) for camera in (True, False)}
    measured = measured_paths(monkeypatch)
    trained = lambda name: trained_on(tmp_path / name, tmp_path / f'{name}-out.parquet')
    assert trained('False.parquet').select(tables[False].column_names).equals(tables[False])
    mixed = pa.concat_tables([tables[True].slice(0, 2), tables[False].slice(2)])
    pq.write_table(mixed, tmp_path / 'mixed.parquet')
    assert trained('mixed.parquet').select(tables[True].column_names).equals(tables[True]) and not measured


def trained_on(clips, output):
    """The table that a training job writes for itself of a table of scores."""
    score_library(ScoreConfig(clips=str(clips), output=str(output), workers=0), for_training=True)
    return pq.read_table(output)
