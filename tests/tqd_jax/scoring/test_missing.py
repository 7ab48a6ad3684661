"""Clips of a table that are not on the disk are counted as missing, never as scored, whoever gave the scores."""
import json

import pyarrow.csv
import pyarrow.parquet as pq
import pytest
import small
from score_job import measured_paths

from tqd_jax.clips.manifest import find
from tqd_jax.data.prepare import prepare
from tqd_jax.scoring.config import ScoreConfig
from tqd_jax.scoring.importers.clips import clips_table
from tqd_jax.scoring.library import score_library

HEADER = 'video,caption,aesthetic score,motion score\n'


def table(folder, there=('0.mp4', '1.mp4', '2.mp4'), gone=('3.mp4', '4.mp4')):
    """A table of another tool with scores of clips, of which the last are not there."""
    small.moving(folder, there)
    path = folder / 'openvid.csv'
    path.write_text(HEADER + ''.join(f'{name},a disc,{5 + number},{number}\n' for number, name in enumerate([*there, *gone])))
    return path


def test_given_scores_of_missing_clips_do_not_count(tmp_path, capsys):
    config = ScoreConfig(scores=(str(table(tmp_path / 'clips')),), output=str(tmp_path / 'x.parquet'), workers=0)
    summary = score_library(config)
    assert (summary.clips, summary.scored) == (5, 3)
    assert f'2 of 5 clips of --scores are not there: the first is {tmp_path}/clips/3.mp4' in capsys.readouterr().out
    rows = pq.read_table(tmp_path / 'x.parquet').to_pylist()
    assert [row['reason'] for row in rows] == [None] * 3 + ['there is no such file'] * 2
    assert [row['mq'] for row in rows][:3] == [0.0, 0.5, 1.0] and rows[3]['motion'] is None and rows[3]['mq'] is None


def test_training_lists_them_with_a_reason(tmp_path, capsys):
    manifest = table(tmp_path / 'clips')
    workdir = tmp_path / 'run'
    workdir.mkdir()
    prepare(small.config(**{'data.clips': manifest, 'data.max_skipped_fraction': 0.5}).data, workdir, seed=0)
    said = capsys.readouterr().out
    assert f'2 of 5 clips of {manifest} are not there: the first is {tmp_path}/clips/3.mp4' in said and '3 of 5 clips can be used' in said
    assert [line['clip'].rsplit('/', 1)[1] for line in map(json.loads, (workdir / 'skipped.jsonl').read_text().splitlines())] == [
        '3.mp4', '4.mp4']


def test_captions_are_counted_of_the_clips_that_are_there(tmp_path, capsys):
    manifest = table(tmp_path / 'clips')
    clips_table(str(manifest), (), None)
    assert f'\n3 of 3 clips that are there have a caption (from {manifest}; 2 of 5 are not there); the first is' in capsys.readouterr().out
    manifest.write_text('clip,caption\ngone.mp4,x\n0.mp4,\n1.mp4,a disc\n')
    clips_table(str(manifest), (), None)
    said = capsys.readouterr().out
    assert '\n1 of 2 clips that are there has a caption' in said and '1 of 3 is not there' in said
    assert f'without a caption: 1 of 2 clips that are there, the first is {tmp_path}/clips/0.mp4' in said
    manifest.write_text('clip,caption\ngone.mp4,x\n0.mp4,\n')
    clips_table(str(manifest), (), None)
    assert 'WARNING: NONE of 1 clip that is there has a caption (1 of 2 is not there)' in capsys.readouterr().out
    manifest.write_text('clip,caption\ngone.mp4,x\n')
    clips_table(str(manifest), (), None)
    assert 'WARNING: the one clip is not there' in capsys.readouterr().out


def test_captions_of_scores_go_before_those_of_the_folder(tmp_path, capsys):
    path = table(tmp_path / 'clips', gone=())
    (tmp_path / 'clips/0.txt').write_text('one\ntwo\n')
    clips = clips_table(str(tmp_path / 'clips'), [str(path)], None)
    assert clips['caption'].to_pylist() == ['a disc'] * 3 and 'captions' not in clips.column_names
    assert '3 of 3 clips have a caption' in capsys.readouterr().out


def test_columns_name_those_of_scores_without_clips(tmp_path):
    small.moving(tmp_path, ['0.mp4'])
    (tmp_path / 'own.csv').write_text('where,what,moves,looks\n0.mp4,a disc,1,2\n')
    clips = clips_table(None, [str(tmp_path / 'own.csv')], None, columns='clip=where,caption=what,motion=moves,visual=looks')
    assert clips.select(['clip', 'caption', 'motion', 'visual']).to_pylist() == [
        {'clip': f'{tmp_path}/0.mp4', 'caption': 'a disc', 'motion': 1.0, 'visual': 2.0}]


@pytest.mark.parametrize('ending', ['csv', 'jsonl'])
def test_a_table_that_the_scorer_wrote_is_one_as_text_too(tmp_path, monkeypatch, ending):
    small.moving(tmp_path / 'clips', ['0.mp4', '1.mp4'])
    (tmp_path / 'clips/0.txt').write_text('007')
    (tmp_path / 'clips/bad.mp4').write_bytes(b'no video')
    first = ScoreConfig(clips=str(tmp_path / 'clips'), output=str(tmp_path / 'x.parquet'), workers=0)
    score_library(first)
    written, text = pq.read_table(tmp_path / 'x.parquet'), tmp_path / f'x.{ending}'
    if ending == 'csv':
        pyarrow.csv.write_csv(written, text)
    else:
        text.write_text(''.join(f'{json.dumps(row)}\n' for row in written.to_pylist()))
    measured = measured_paths(monkeypatch)
    score_library(ScoreConfig(clips=str(text), output=str(tmp_path / 'y.parquet'), workers=0))
    again = pq.read_table(tmp_path / 'y.parquet')
    assert not measured and again.select(written.column_names).equals(written)
    assert find(str(text)).unread == (), 'a column of the scorer is no caption'
