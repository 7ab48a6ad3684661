"""Folders as people have them: no clip has another clip's caption, no caption is lost without a word, and many tables are no more work."""
import os
import unicodedata

import pyarrow as pa
import pytest

from tqd_jax.clips.captions import of_rows
from tqd_jax.clips.listing.folder import lists_of_folder
from tqd_jax.clips.manifest import find


def found_in(folder, files):
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    found = find(str(folder))
    rows = found.table.select(['clip', 'caption']).to_pylist()
    return {os.path.relpath(row['clip'], folder): row['caption'] for row in rows}, found


@pytest.mark.parametrize(('files', 'expected'), [
    ({'web/1.mp4': '', 'web/video/1.mp4': '', 'web/1.txt': 'one'}, {'web/1.mp4': 'one', 'web/video/1.mp4': ''}),
    ({'videos/1.mp4': '', 'clips/1.mp4': '', 'labels/1.txt': 'one'}, {'clips/1.mp4': '', 'videos/1.mp4': ''}),
    ({'videos/1.mp4': '', 'videos/1.webm': '', 'labels/1.txt': 'one'}, {'videos/1.mp4': 'one', 'videos/1.webm': 'one'}),
    ({'video.mp4': '', 'video.txt': 'a dog', 'prompt.txt': 'a cat'}, {'video.mp4': 'a dog'}),
    ({'caption.mp4': '', 'caption.json': '{"text": "a dog"}'}, {'caption.mp4': 'a dog'}),
    ({'a.mp4': '', 'a.caption.txt': 'one', 'b.mp4': '', 'b.caption.mp4': '', 'b.caption.txt': 'two'},
     {'a.mp4': 'one', 'b.mp4': '', 'b.caption.mp4': 'two'}),
])
def test_a_text_belongs_to_one_clip(tmp_path, files, expected):
    assert found_in(tmp_path, files)[0] == expected


@pytest.mark.parametrize(('video', 'text'), [('NFD', 'NFC'), ('NFC', 'NFD')])
def test_composed_and_decomposed_letters_are_the_same(tmp_path, video, text):
    clip, named = (unicodedata.normalize(form, 'caf\u00e9') for form in (video, text))
    assert list(found_in(tmp_path / 'a', {f'{clip}.mp4': '', f'{named}.txt': 'one'})[0].values()) == ['one']
    assert list(found_in(tmp_path / 'b', {f'{clip}.mp4': '', 'metadata.csv': f'file_name,text\n{named}.mp4,one\n'})[0].values()) == ['one']
    (tmp_path / 'b' / 'm.csv').write_text(f'clip,caption\n{named}.mp4,one\n')
    assert os.path.exists(find(str(tmp_path / 'b' / 'm.csv')).table['clip'][0].as_py())


def test_what_is_no_text_is_no_caption_and_is_counted(tmp_path):
    noise = bytes(range(256)) * 20
    texts = {'a.txt': noise, 'b.txt': noise, 'c.txt': 'a dog runs by\0', 'd.json': '[' * 100_000}
    captions, found = found_in(tmp_path, dict.fromkeys(('a.mp4', 'b.mp4', 'c.mp4', 'd.mp4'), '') | texts)
    assert captions == {'a.mp4': '', 'b.mp4': '', 'c.mp4': 'a dog runs by', 'd.mp4': ''}
    assert f'{tmp_path}/a.txt is no text, as 1 more .txt' in found.lines
    assert f'{tmp_path}/d.json is not JSON' in found.lines


def test_pictures_have_their_caption_at_any_rate(tmp_path):
    for number in range(3):
        (tmp_path / 'run').mkdir(exist_ok=True)
        (tmp_path / 'run' / f'{number:03}.png').write_bytes(b'')
    (tmp_path / 'run.txt').write_text('a dog runs')
    assert find(f'{tmp_path}?fps=12').table['caption'].to_pylist() == find(str(tmp_path)).table['caption'].to_pylist() == ['a dog runs']


def test_a_table_in_each_folder_is_one_look_at_each_clip(tmp_path, monkeypatch):
    looked = []
    monkeypatch.setattr(of_rows.os.path, 'abspath', lambda path: looked.append(path) or path)
    clips, tables = [], []
    for number in range(40):
        folder = tmp_path / f'{number:02}'
        folder.mkdir()
        clips += [f'{folder}/0.mp4', f'{folder}/1.mp4']
        (folder / 'metadata.csv').write_text(f'file_name,text\n0.mp4,first of {number}\n1.mp4,second\ngone.mp4,x\n')
        tables.append(f'{folder}/metadata.csv')
    lists, found = lists_of_folder(pa.array(clips), tables, {})
    assert lists.to_pylist()[::2] == [[f'first of {number}'] for number in range(40)]
    assert found.origins == {f'{table}, column \'text\'': 2 for table in tables}
    assert len(looked) == 40 * (2 + 3), 'clips and rows once each'
    assert '1 of 3 rows of ' in found.lines[-5] and found.lines[-1] == '36 rows of 36 more tables name no clip of the folder'


def test_a_row_may_name_a_clip_by_its_file_name_alone(tmp_path):
    """Older folders have a table beside the folder of the clips, whose rows name no folder."""
    files = {'train/a.mp4': b'', 'train/b.mp4': b'', 'test/b.mp4': b'',
             'metadata.csv': b'file_name,text\na.mp4,a red disc\nb.mp4,of either\nc.mp4,of none\n'}
    captions, found = found_in(tmp_path, files)
    assert captions == {'train/a.mp4': 'a red disc', 'train/b.mp4': '', 'test/b.mp4': ''}
    table = tmp_path / 'metadata.csv'
    assert f'rows that name a clip by its file name alone, in another folder: 1, the first is {tmp_path}/a.mp4' in found.lines
    assert f'2 of 3 rows of {table} name no clip of the folder: the first is {tmp_path}/b.mp4' in found.lines


@pytest.mark.parametrize(('more', 'expected'), [({}, 'a red disc'), ({'other.csv': b'x,y\n1,2\n'}, '')])
def test_the_only_table_of_a_folder_is_read_however_it_is_called(tmp_path, more, expected):
    row = b'{"video_path": "clips/a.mp4", "caption": "a red disc"}\n'
    captions, _ = found_in(tmp_path, {'clips/a.mp4': b'', 'data.jsonl': row, **more})
    assert captions == {'clips/a.mp4': expected}


@pytest.mark.parametrize(('name', 'content'), [('config.json', b'[{"clip": null, "caption": "x"}]'), ('run/config.json', b'{"clip": null}'),
                                               ('x.csv', b'clip,caption\n,x\n'), ('x.parquet', b'no table'), ('x.jsonl', b'{'),
                                               ('x.json', b'{"data": {"clips": null, "columns": 5}, "mesh": [1, 2]}')])
def test_a_file_that_is_of_something_else_refuses_nothing(tmp_path, name, content):
    captions, found = found_in(tmp_path, {'a.mp4': b'', 'a.txt': b'a red disc', name: content})
    assert captions == {'a.mp4': 'a red disc'} and not found.lines
