"""Which clips there are: folders, manifests in three formats, several sources, and one clear line for every fault."""
import json

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
import pytest

from tqd_jax.data.captions import tokenize
from tqd_jax.data.manifest import read_clips
from transfer_jax.runtime.errors import UserError

ROWS = [{'clip': 'a.mp4', 'caption': 'a red disc', 'mq': 0.2, 'vq': 1.0}, {'clip': 'b/c.mp4', 'caption': None, 'mq': 0.5, 'vq': 0.0}]


def written(folder, rows, kind='parquet'):
    path = folder / f'm.{kind}'
    table = pa.Table.from_pylist(rows)
    if kind == 'jsonl':
        path.write_text('\n'.join(map(json.dumps, rows)))
    else:
        {'parquet': pa.parquet.write_table, 'csv': pa.csv.write_csv}[kind](table, path)
    return path


def test_folders_are_searched_recursively(tmp_path):
    for name in ('b.mp4', 'a/c.MKV', 'a/d.gif', 'notes.txt', '.hidden.mp4'):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    table = read_clips(str(tmp_path))
    assert [p.removeprefix(f'{tmp_path}/') for p in table['clip'].to_pylist()] == ['a/c.MKV', 'a/d.gif', 'b.mp4']


@pytest.mark.parametrize('kind', ['parquet', 'csv', 'jsonl'])
def test_manifests(tmp_path, kind):
    table = read_clips(str(written(tmp_path, ROWS, kind)))
    assert table['clip'].to_pylist() == [str(tmp_path / 'a.mp4'), str(tmp_path / 'b/c.mp4')]
    assert table['caption'].to_pylist() == ['a red disc', ''] and table['mq'].to_pylist() == [0.2, 0.5]


def test_named_sources(tmp_path):
    for name in ('web', 'studio'):
        (tmp_path / name).mkdir()
        (tmp_path / name / 'x.mp4').touch()
    table = read_clips(f'web={tmp_path}/web,studio={tmp_path}/studio')
    assert table['source'].to_pylist() == ['web', 'studio']


@pytest.mark.parametrize(('change', 'message'), [
    ({'mq': float('nan')}, 'row 1: mq is nan'), ({'mq': 1.2}, r'row 1: mq is 1.2; it must be in \[0, 1\]'),
    ({'vq': None}, 'row 1: vq is None'),
    ({'clip': ''}, "row 1: clip is ''"), ({'clip': 'a.mp4'}, 'listed 2 times')])
def test_bad_rows_are_named(tmp_path, change, message):
    with pytest.raises(UserError, match=message):
        read_clips(str(written(tmp_path, [ROWS[0], ROWS[1] | change])))


def test_bad_manifests_are_named(tmp_path):
    with pytest.raises(UserError, match='both or neither'):
        read_clips(str(written(tmp_path, [{'clip': 'a.mp4', 'mq': 0.5}])))
    with pytest.raises(UserError, match='needs a column `clip`'):
        read_clips(str(written(tmp_path, [{'file': 'a.mp4'}])))
    (tmp_path / 'bad.parquet').write_text('no table')
    with pytest.raises(UserError, match='cannot be read'):
        read_clips(str(tmp_path / 'bad.parquet'))
    with pytest.raises(UserError, match='no folder or manifest'):
        read_clips(str(tmp_path / 'absent'))
    (tmp_path / 'empty').mkdir()
    with pytest.raises(UserError, match='no video files'):
        read_clips(str(tmp_path / 'empty'))


def test_captions_become_tokens():
    red, nothing = tokenize('A red disc, moving', 8, 512), tokenize('', 8, 512)
    assert red[:4].min() > 0 and (red[4:] == 0).all() and (nothing == 0).all()
    assert (red == tokenize('a RED disc moving', 8, 512)).all() and len(tokenize('one two three', 2, 512)) == 2
