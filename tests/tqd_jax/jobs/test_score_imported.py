"""python -m tqd_jax.score --scores: other tools' scores take the place of measured ones, matched by path, and outlive what comes later."""
import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest
import small
from score_job import NAMES, measured_paths, run

from tqd_jax.scoring.measures import VERSION
from tqd_jax.scoring.table import UNKNOWN


@pytest.fixture(scope='module')
def few(tmp_path_factory):
    return small.moving(tmp_path_factory.mktemp('few'), NAMES[:4])


def test_imported_scores_are_used_and_the_other_axis_is_measured(few, tmp_path, monkeypatch):
    clips, measured, visual = [str(few / name) for name in NAMES[:4]], measured_paths(monkeypatch), [4.1, 4.2, 4.3, 4.4]
    lines = [f'{clip},,{value},{10 - value},1,static,8,8,1' for clip, value in zip(clips, visual, strict=True)]
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
    imported = lambda clips, output: run(tmp_path / output, clips=clips, scores=[str(tmp_path / 'laion.parquet')], tool='laion')
    own = '\n'.join(f'{few / name},{i},{i},clip {i}' for i, name in enumerate(NAMES[:4]))
    (tmp_path / 'own.csv').write_text(f'clip,motion,visual,caption\n{own}')
    laion([str(few / name) for name in NAMES[:2]])
    monkeypatch.chdir(few.parent)
    beside, measured = imported(few.name, 'a.parquet'), measured_paths(monkeypatch)
    assert beside['visual'].to_pylist() == [4.5, 4.6, None, None] and beside['reason'][2].as_py() == UNKNOWN
    assert beside['motion'].null_count == 2 and '2 of 4 clips found in --scores' in capsys.readouterr().out
    rows = imported(str(tmp_path / 'own.csv'), 'b.parquet')
    assert not measured and rows['visual'].to_pylist() == [4.5, 4.6, None, None] and rows['motion'].to_pylist()[:2] == [0, 1]
    assert rows['caption'].to_pylist() == [f'clip {i}' for i in range(4)]
    laion(['/elsewhere/0.mp4', '/elsewhere/1.mp4'])
    with pytest.raises(SystemExit):
        imported(str(tmp_path / 'own.csv'), 'c.parquet')
    assert 'of /elsewhere/0.mp4 there' in capsys.readouterr().err


def test_imported_scores_outlive_another_version_and_a_retry(few, tmp_path, monkeypatch):
    clips, visual = [str(few / name) for name in NAMES[:4]], [4.1, 4.2, 4.3, 4.4]
    pa.parquet.write_table(pa.table({'path': clips, 'aesthetic': visual}), tmp_path / 'laion.parquet')
    pa.parquet.write_table(pa.table({'clip': clips, 'motion': visual, 'visual': visual}), tmp_path / 'own.parquet')
    run(tmp_path / 'a.parquet', clips=str(few), scores=[str(tmp_path / 'laion.parquet')])
    run(tmp_path / 'b.parquet', clips=str(tmp_path / 'own.parquet'))
    anew = run(tmp_path / 'c.parquet', clips=str(tmp_path / 'a.parquet'), flow='farneback')
    plain = run(tmp_path / 'd.parquet', clips=str(few))
    assert anew['visual'].to_pylist() == visual and not anew['motion'].equals(plain['motion'])
    assert anew['scorer_version'].to_pylist() == [f'{VERSION},flow=farneback,given=visual'] * 4
    measured = measured_paths(monkeypatch)
    again = run(tmp_path / 'e.parquet', clips=str(tmp_path / 'b.parquet'), retry=True)
    assert not measured and again['motion'].to_pylist() == visual and again['scorer_version'].to_pylist() == ['given'] * 4


def test_learned_scorers_score_a_replaced_clip_of_an_imported_table_again(tmp_path, monkeypatch):
    clips = small.moving(tmp_path / 'clips', NAMES[:3])
    pa.parquet.write_table(pa.table({'clip': [str(clips / name) for name in NAMES[:2]], 'motion': [1.0, 2.0], 'visual': [1.0, 2.0]}),
                           tmp_path / 'own.parquet')
    scorers = ['light:Light']
    value = lambda: run(tmp_path / 'a.parquet', clips=str(tmp_path / 'own.parquet'), scorers=scorers)['light_mean'].to_pylist()
    first = value()
    (clips / NAMES[1]).write_bytes((clips / NAMES[2]).read_bytes())
    assert value()[0] == first[0] and value()[1] != first[1]
