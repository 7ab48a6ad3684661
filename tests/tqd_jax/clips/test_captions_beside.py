"""Captions beside clips: found among names, of every form that captioners write, in folders here and elsewhere, and told."""
import json

import fsspec
import pyarrow as pa
import pytest

from tqd_jax.clips.captions.opened import beside_named
from tqd_jax.clips.captions.parse import captions_in
from tqd_jax.clips.captions.sidecars import captions_beside
from tqd_jax.clips.captions.summary import caption_lines
from tqd_jax.clips.manifest import find, left_out
from transfer_jax.runtime.errors import UserError


def folder_of(folder, files):
    """Writes {name: content}: bytes, text, or what becomes JSON; a video is an empty file here."""
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if not isinstance(content, bytes):
            content = (content if isinstance(content, str) else json.dumps(content)).encode()
        path.write_bytes(content)
    return str(folder)


def captions_of(spec, **options):
    """{clip's name within tmp_path's folder: its caption, or the list of several}."""
    table = find(spec, **options).table
    several = table['captions'].to_pylist() if 'captions' in table.column_names else [None] * len(table)
    rows = zip(table['clip'].to_pylist(), table['caption'].to_pylist(), several, strict=True)
    return {clip.rsplit('/', 1)[1]: more or one for clip, one, more in rows}


@pytest.mark.parametrize(('name', 'content', 'expected'), [
    ('a.txt', 'a red disc\n', 'a red disc'), ('a.TXT', 'a red disc', 'a red disc'), ('a.caption', 'a red disc', 'a red disc'),
    ('a.mp4.txt', 'a red disc', 'a red disc'), ('a.txt', '\ufeff a red disc \r\n', 'a red disc'),
    ('a.txt', 'eine rote Scheibe über Köln'.encode('cp1252'), 'eine rote Scheibe über Köln'),
    ('a.txt', '一个红色的圆盘在移动'.encode('gb18030'), '一个红色的圆盘在移动'), ('a.txt', 'a red disc'.encode('utf-16'), 'a red disc'),
    ('a.txt', 'one way\n\nanother way\n', ['one way', 'another way']), ('a.txt', '007', '007'), ('a.txt', ' \n', ''),
    ('a.json', {'caption': 'a red disc'}, 'a red disc'), ('a.json', {'Prompt': 'a red disc', 'fps': 8}, 'a red disc'),
    ('a.json', {'text': ['one', 'two']}, ['one', 'two']), ('a.json', ['one', 'two'], ['one', 'two']), ('a.json', "'no JSON'", ''),
    ('a.json', '"a red disc"', 'a red disc'), ('a.json', {'captions': [{'text': 'one'}, {'text': 'two'}]}, ['one', 'two']),
    ('a.json', {'captions': {'short': 'one', 'long': 'two'}}, ['one', 'two']), ('a.json', {'caption': 12}, '12'),
    ('a.json', {'caption': '', 'description': 'a red disc'}, 'a red disc'), ('a.json', {'fps': 8}, ''), ('b.txt', 'of another', '')])
def test_a_caption_is_read_from_what_lies_beside(tmp_path, name, content, expected):
    folder = folder_of(tmp_path, {'a.mp4': b'', name: content})
    assert captions_of(folder) == {'a.mp4': expected}
    assert captions_of(f'{folder}/a.mp4') == ({'a.mp4': expected} if name != 'a.TXT' and name != 'a.mp4.txt' else {'a.mp4': ''})


def test_a_text_goes_before_the_json_of_the_same_name():
    clips = pa.array(['x/a.mp4', 'x/b.mp4', 'x/c.mp4', 'y/a.mp4'])
    texts = {'x/a.txt': b'a text', 'x/a.json': b'{"caption": "a json"}', 'x/b.txt': b' ', 'x/b.json': b'{"caption": "b json"}',
             'x/c.json': b'{', 'y/b.txt': b'nobody'}
    beside = captions_beside(clips, pa.array(list(texts)), lambda names: [texts[name] for name in names])
    assert beside.lists.to_pylist() == [['a text'], ['b json'], [], []] and beside.read == {'.txt': 1, '.json': 1}
    assert beside.files == {'.txt': 2, '.json': 3} and dict(beside.faults) == {'x/b.txt': 'has no caption', 'x/c.json': 'is not JSON'}


def test_an_encoding_that_was_detected_is_said_and_bytes_that_are_no_text_are_no_caption():
    texts = {'a.txt': b'plain', 'b.txt': 'über'.encode('cp1252'), 'c.txt': 'über'.encode('utf-16'), 'd.txt': b'a woman \x8d\x00 signs'}
    clips = pa.array([f'{stem}.mp4' for stem in 'abcd'])
    beside = captions_beside(clips, pa.array(list(texts)), lambda names: [texts[name] for name in names])
    assert beside.lists.to_pylist() == [['plain'], ['über'], ['über'], []]
    assert beside.read == {'.txt': 1, '.txt in Windows-1252 (Latin-1)': 1, '.txt in UTF-16': 1}
    assert beside.faults == (('d.txt', 'is no text'),)


def test_what_cannot_be_opened_is_named_and_asks_nobody_twice():
    asked = []

    def read(names):
        asked.extend(names)
        return [OSError('gone')] * len(names)
    beside = captions_beside(pa.array(['a.mp4']), pa.array(['a.txt']), read)
    assert beside.lists.to_pylist() == [[]] and beside.faults == (('a.txt', 'cannot be read (OSError)'),) and asked == ['a.txt']
    assert beside_named(pa.array(['s3://bucket/a.mp4']))[0].to_pylist() == [[]]


def test_a_remote_folder_is_listed_once(monkeypatch):
    system, listed = fsspec.filesystem('memory'), []
    for name, content in {'a.mp4': b'', 'a.txt': b'a red disc', 's/b.mp4': b'', 's/b.json': b'{"text": "blue"}', 's/c.mp4': b''}.items():
        system.pipe_file(f'/beside/{name}', content)
    walk = type(system).find
    monkeypatch.setattr(type(system), 'find', lambda self, path, *rest, **more: [listed.append(path), walk(self, path, *rest, **more)][1])
    assert captions_of('memory://beside') == {'a.mp4': 'a red disc', 'b.mp4': 'blue', 'c.mp4': ''} and len(listed) == 1


def test_a_remote_folder_has_tables_and_lists():
    system = fsspec.filesystem('memory')
    texts = {'metadata.csv': b'file_name,text\na.mp4,red\n', 'videos.txt': b'b.mp4', 'prompts.txt': b'blue', 'c.caption': b'green'}
    for name, content in ({'a.mp4': b'', 'b.mp4': b'', 'c.mp4': b''} | texts).items():
        system.pipe_file(f'/tables/{name}', content)
    assert captions_of('memory://tables') == {'a.mp4': 'red', 'b.mp4': 'blue', 'c.mp4': 'green'}


@pytest.mark.parametrize(('name', 'content'), [('metadata.csv', 'key,value\nauthor,me\n'), ('dataset.json', '["me"]'),
                                               ('metadata.json', '5'), ('captions.csv', '')])
def test_a_file_that_is_only_called_like_a_table_is_said_and_refuses_nothing(tmp_path, name, content):
    found = find(folder_of(tmp_path, {'a.mp4': b'', 'a.txt': 'a red disc', name: content}))
    assert found.table['caption'].to_pylist() == ['a red disc']
    assert [line for line in found.lines if line.startswith('not read: manifest') and name in line]


def test_a_manifest_without_a_header_says_so(tmp_path):
    with pytest.raises(UserError, match='its first line names a clip'):
        find(folder_of(tmp_path, {'m.csv': 'a.mp4,a red disc\n'}) + '/m.csv')


def test_a_table_goes_before_a_file_beside_and_both_are_told(tmp_path):
    folder = folder_of(tmp_path, {'a.mp4': b'', 'b.mp4': b'', 'c.mp4': b'', 'a.txt': 'beside a', 'b.txt': 'beside b', 'z.txt': 'of nothing',
                                  'metadata.csv': 'file_name,text\na.mp4,of the table\ngone.mp4,x\nb.mp4,\n'})
    found = find(folder)
    assert captions_of(folder) == {'a.mp4': 'of the table', 'b.mp4': 'beside b', 'c.mp4': ''}
    assert found.origins == {f"{folder}/metadata.csv, column 'text'": 1, '.txt beside each clip': 1} and found.others == {'.txt': 1}
    assert f'1 of 3 rows of {folder}/metadata.csv names no clip of the folder: the first is {folder}/gone.mp4' in found.lines
    assert left_out(found.others) == ['left out, no videos by their ending: 1 .txt']
    lines = caption_lines(found.table, found.origins, found.unread, '--columns')
    assert lines[0].startswith(f'2 of 3 clips have a caption (1 from {folder}/metadata.csv, column ') and '1 from .txt' in lines[0]
    assert "the first is of " in lines[0] and lines[1] == f'without a caption: 1 of 3 clips, the first is {folder}/c.mp4'
    assert lines[2] == f'not read for captions: 1 .txt, such as {folder}/z.txt'


def test_no_caption_at_all_is_loud_and_says_what_is_unread(tmp_path):
    folder = folder_of(tmp_path, {'a.mp4': b'', 'labels.csv': 'clip,words\na.mp4,x\n', 'm/b.mp4': b''})
    found = find(folder)
    line, = caption_lines(found.table, found.origins, found.unread, '--columns')
    assert line.startswith('WARNING: NONE of 2 clips has a caption') and f'1 .csv, such as {folder}/labels.csv' in line
    found = find(f'{folder}/labels.csv')
    line, = caption_lines(found.table, found.origins, found.unread, '--columns')
    assert f"column 'words' of {folder}/labels.csv" in line and '--columns names a column' in line
    assert captions_of(f'{folder}/labels.csv', columns='caption=words') == {'a.mp4': 'x'}


def test_a_manifest_without_captions_has_those_beside_its_clips(tmp_path):
    folder = folder_of(tmp_path, {'a.mp4': b'', 'a.txt': 'a red disc', 'b.mp4': b'', 'list.txt': 'a.mp4\nb.mp4\n',
                                  'm.csv': 'clip\nb.mp4\na.mp4\n'})
    assert captions_of(f'{folder}/list.txt') == {'a.mp4': 'a red disc', 'b.mp4': ''}
    assert captions_of(f'{folder}/m.csv') == {'b.mp4': '', 'a.mp4': 'a red disc'}


def test_lists_of_other_lengths_are_refused(tmp_path):
    folder = folder_of(tmp_path, {'a.mp4': b'', 'videos.txt': 'a.mp4\n', 'prompts.txt': 'one\ntwo\n'})
    for spec in (folder, f'{folder}/videos.txt'):
        with pytest.raises(UserError, match=r'videos\.txt has 1 line and .*prompts\.txt 2'):
            find(spec)


def test_json_that_is_none_raises():
    assert captions_in(b' ', '.json') == []
    with pytest.raises(ValueError, match='Expecting'):
        captions_in(b'{', '.json')
