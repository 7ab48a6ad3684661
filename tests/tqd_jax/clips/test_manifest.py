"""Which clips there are: folders, manifests in three formats, lists, several sources, here and elsewhere, and one clear line a fault."""
import json
import os

import fsspec
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
import pytest

from tqd_jax.clips.manifest import find, left_out, read_clips
from tqd_jax.clips.places import LOCKED, as_local
from tqd_jax.text.words import tokenize
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


def test_names_of_sources_end_at_the_first_sign_of_equality(tmp_path):
    for name in ('date=1, b', 'x=y'):
        (tmp_path / name).mkdir()
        (tmp_path / name / 'c.mp4').touch()
    table = read_clips(f'web={tmp_path}/date=1, b,studio={tmp_path}/x=y')
    assert table['source'].to_pylist() == ['web', 'studio']
    assert table['clip'].to_pylist() == [f'{tmp_path}/date=1, b/c.mp4', f'{tmp_path}/x=y/c.mp4']
    assert read_clips(f'{tmp_path}/x=y')['source'].to_pylist() == ['clips']


def test_a_list_is_a_path_a_line(tmp_path):
    odd = b'caf\xe9.mp4'
    lines = [b'\xef\xbb\xbfa b .mp4\r', b'/x/c,d.mp4', b'', b'gif/e#.gif', odd, b'memory://lib/f.mp4']
    (tmp_path / 'list.txt').write_bytes(b'\n'.join(lines))
    table = read_clips(str(tmp_path / 'list.txt'))
    expected = [f'{tmp_path}/a b .mp4', '/x/c,d.mp4', f'{tmp_path}/gif/e#.gif', os.path.join(tmp_path, os.fsdecode(odd)), 'memory://lib/f.mp4']
    assert [as_local(clip) for clip in table['clip'].to_pylist()] == expected
    assert set(table['source'].to_pylist()) == {'clips'} and set(table['caption'].to_pylist()) == {''}


def test_remarks_in_a_list_are_no_clips(tmp_path):
    (tmp_path / 'list.txt').write_text('# my clips\na.mp4\n#b.mp4\n./#1.mp4\n')
    assert read_clips(str(tmp_path / 'list.txt'))['clip'].to_pylist() == [f'{tmp_path}/a.mp4', f'{tmp_path}/#1.mp4']


def test_what_is_left_out_is_counted_in_one_walk(tmp_path, monkeypatch):
    for name in ('a/x.mp4', 'a/x.txt', 'a/n.txt', 'b/y.mp4', 'b/n.txt', 'b/README'):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text('a text')
    walk, tops = os.walk, []
    monkeypatch.setattr(os, 'walk', lambda top, **options: [tops.append(top), *walk(top, **options)][1:])
    found = find(f'a={tmp_path}/a,b={tmp_path}/b')
    assert len(found.table) == 2 and found.others == {'.txt': 2, '': 1} and len(tops) == 2
    assert left_out(found.others | {LOCKED: 3}) == ['left out, no videos by their ending: 1 without one',
                                              'left out, no videos by their ending: 2 .txt', 'not searched: 3 folders that cannot be read']
    assert left_out({}) == []


@pytest.mark.parametrize(('name', 'content', 'message'), [
    ('m.csv', b'clip,clip\na.mp4,b.mp4\n', 'two columns of one name: clip, clip'),
    ('m.csv', b'clip,caption\na.mp4,a red disc, moving\n', 'row 0 has 3 columns, and the header 2: put quotes around'),
    ('m.jsonl', b'{"clip": "a.mp4"}\n{"clip": \n', 'row 1 is not JSON'),
    ('m.jsonl', b'"a.mp4"\n', 'row 0 is no object')])
def test_files_of_another_shape_are_named(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError, match=message) as caught:
        read_clips(str(tmp_path / name))
    assert str(caught.value).isprintable()


def test_one_video_is_a_list_of_one(tmp_path):
    (tmp_path / 'a.mp4').symlink_to('a.mp4')  # whatever it is: its row will say so
    for spec in (f'{tmp_path}/a.mp4', f'file://{tmp_path}/a.mp4'):
        assert read_clips(spec)['clip'].to_pylist() == [f'{tmp_path}/a.mp4']


def test_remote_folders_manifests_and_clips(tmp_path):
    system = fsspec.filesystem('memory')
    for suffix in ('parquet', 'csv', 'jsonl'):
        system.pipe_file(f'/lib/m.{suffix}', written(tmp_path, ROWS, suffix).read_bytes())
        table = read_clips(f'memory://lib/m.{suffix}')
        assert table['clip'].to_pylist() == ['memory://lib/a.mp4', 'memory://lib/b/c.mp4'] and table['mq'].to_pylist() == [0.2, 0.5]
    system.pipe_file('/lib/b/c.mp4', b'')
    table = read_clips('here=memory://lib,there=memory://lib/d.mp4')
    assert table['clip'].to_pylist() == ['memory://lib/b/c.mp4', 'memory://lib/d.mp4'] and table['source'].to_pylist() == ['here', 'there']
    with pytest.raises(UserError, match=r'manifest memory://lib/gone\.csv cannot be read: cannot be fetched'):
        read_clips('memory://lib/gone.csv')
    with pytest.raises(UserError, match='Protocol not known: xyz'):
        read_clips(str(written(tmp_path, [{'clip': 'xyz://a/b.mp4'}])))


def test_other_columns_pass_and_numbers_of_two_kinds_meet(tmp_path):
    (tmp_path / 'd').mkdir()
    row = {'clip': 'a.mp4', 'mq': 1, 'vq': 1, 'views': 7}
    one, two = written(tmp_path, [row], 'csv'), written(tmp_path / 'd', [row | {'mq': 0.5}], 'csv')
    table = read_clips(f'a={one},b={two}')
    assert table['mq'].to_pylist() == [1.0, 0.5] and table['views'].to_pylist() == ['7', '7']
    two.write_text('clip,mq,vq,views\na.mp4,0.5,1,many\n')
    assert read_clips(f'a={one},b={two}')['views'].to_pylist() == ['7', 'many']
    pa.parquet.write_table(pa.table({'clip': ['c.mp4'], 'mq': [1], 'vq': [1], 'views': [7]}), tmp_path / 'three.parquet')
    assert read_clips(f'a={one},c={tmp_path}/three.parquet')['views'].to_pylist() == ['7', '7'], 'nobody reads it, so it refuses nothing'


def test_errors_say_the_flag_of_the_caller(tmp_path):
    (tmp_path / 'notes.md').touch()
    with pytest.raises(UserError, match=r'--clips: no video files .* under .*; it has 1 \.md'):
        read_clips(str(tmp_path), flag='--clips')
    with pytest.raises(UserError, match=r'--clips: .* is neither a folder'):
        read_clips(str(tmp_path / 'notes.md'), flag='--clips')


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
        read_clips(str(written(tmp_path, [{'picture': 'a.mp4'}])))
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
