"""A manifest's values stay what the file says, whatever its encoding, its delimiter and the look of its values."""
import io
import json

import pyarrow as pa
import pyarrow.parquet
import pytest

from tqd_jax.clips.listing.encoding import BLOCK, decode, encoding_of, guess
from tqd_jax.clips.manifest import find, read_clips
from transfer_jax.runtime.errors import UserError

ODD = ['007', 'true', '2024-01-01', '1e5', 'null', 'NaN', 'None', '12', '0.50', ' a  b ', "['a', 'b']", '# no remark', '="x"', '5" wide']


def written(folder, name, content, encoding='utf-8'):
    path = folder / name
    path.write_bytes(content.encode(encoding))
    return str(path)


def captions(path, **options):
    table = find(path, **options).table
    return [more or one for one, more in zip(table['caption'].to_pylist(), table['captions'].to_pylist() if 'captions' in table.column_names
                                             else [None] * len(table), strict=True)]


def test_captions_that_look_like_values_stay_text(tmp_path):
    rows = [{'clip': f'{i:05}.mp4', 'caption': text} for i, text in enumerate(ODD)]
    quoted = ''.join(f'{row["clip"]},"{row["caption"].replace(chr(34), 2 * chr(34))}"\n' for row in rows)
    files = [written(tmp_path, 'm.csv', f'clip,caption\n{quoted}'), written(tmp_path, 'm.jsonl', '\n'.join(map(json.dumps, rows))),
             written(tmp_path, 'm.json', json.dumps(rows)), written(tmp_path, 'n.json', json.dumps({'data': rows}))]
    pa.parquet.write_table(pa.Table.from_pylist(rows), tmp_path / 'm.parquet')
    for path in (*files, str(tmp_path / 'm.parquet')):
        assert captions(path) == ODD, path
        assert read_clips(path)['clip'][1].as_py() == f'{tmp_path}/00001.mp4'


def test_numbers_of_json_are_as_they_are_written(tmp_path):
    path = written(tmp_path, 'm.jsonl', '{"clip": "a.mp4", "caption": 1e5}\n{"clip": "b.mp4", "caption": true}\n{"clip": "c.mp4"}\n')
    assert captions(path) == ['1e5', 'true', '']


def test_a_column_of_json_that_the_user_names_for_clips_is_text(tmp_path):
    path = written(tmp_path, 'x.jsonl', json.dumps({'file': 'a.mp4', 'what': ['p', 'q'], 'caption': 'z'}))
    table = find(str(path), columns='clip=file,caption=what').table
    assert table['clip'].to_pylist() == [str(tmp_path / 'a.mp4')] and table['captions'].to_pylist() == [['p', 'q']]


def test_paths_that_look_like_numbers_stay_paths(tmp_path):
    assert read_clips(written(tmp_path, 'm.csv', 'clip,caption\n00001,hello\n'))['clip'].to_pylist() == [f'{tmp_path}/00001']
    (tmp_path / '00001.mp4').touch()
    assert read_clips(str(tmp_path / 'm.csv'))['clip'].to_pylist() == [f'{tmp_path}/00001.mp4'], 'its ending was left out'


@pytest.mark.parametrize('rows', [[{'id': 1}, {'id': 'x7'}], [{'id': [1]}, {'id': {'a': 2}}], [{'id': None}, {'no': True}]])
def test_columns_that_nobody_reads_refuse_nothing(tmp_path, rows):
    path = written(tmp_path, 'm.jsonl', '\n'.join(json.dumps({'clip': f'{i}.mp4', 'caption': 'a'} | row) for i, row in enumerate(rows)))
    assert captions(path) == ['a', 'a']


def test_lists_of_captions_stay_several(tmp_path):
    rows = [{'clip': 'a.mp4', 'caption': ['one', 'two']}, {'clip': 'b.mp4', 'caption': 'alone'}, {'clip': 'c.mp4', 'caption': ['x', None]}]
    expected = [['one', 'two'], 'alone', 'x']
    assert captions(written(tmp_path, 'm.jsonl', '\n'.join(map(json.dumps, rows)))) == expected
    table = pa.table({'file_name': ['a.mp4', 'b.mp4', 'c.mp4'], 'captions': [['one', 'two'], ['alone'], ['x', '']]})
    pa.parquet.write_table(table, tmp_path / 'm.parquet')
    assert captions(str(tmp_path / 'm.parquet')) == expected
    again = read_clips(str(tmp_path / 'm.parquet'))
    pa.parquet.write_table(again, tmp_path / 'again.parquet')
    assert captions(str(tmp_path / 'again.parquet')) == expected, 'a table that was written reads the same'


@pytest.mark.parametrize('encoding', ['utf-8', 'utf-8-sig', 'utf-16', 'utf-16-le', 'utf-16-be', 'utf-32', 'cp1252'])
@pytest.mark.parametrize('delimiter', [',', ';', '\t', '|'])
def test_encodings_and_delimiters_are_detected_and_said(tmp_path, encoding, delimiter):
    text = '\n'.join(delimiter.join(row) for row in (('clip', 'caption'), ('a.mp4', 'Café am Fluß'), ('b.mp4', 'plain')))
    path = written(tmp_path, 'm.csv', text, encoding)
    found = find(path)
    assert found.table['caption'].to_pylist() == ['Café am Fluß', 'plain']
    assert found.table.column_names == ['clip', 'caption', 'source']
    said = [line for line in found.lines if 'read as' in line]
    assert bool(said) == (delimiter != ',' or not encoding.startswith('utf-8'))
    words = [{';': 'semicolons', '\t': 'tabs', '|': 'bars'}.get(delimiter, ''), {'cp1252': 'Latin-1'}.get(encoding, 'UTF-')]
    assert all(words[0] in line and (words[1] in line or encoding.startswith('utf-8')) for line in said)


@pytest.mark.parametrize(('text', 'encoding'), [
    ('一个红色的圆盘在绿色的背景上移动，镜头缓慢推进。A red disc', 'gb18030'), ('Красный диск движется по столу', 'cp1251'),
    ('ein Köter läuft über die Straße', 'cp1252'), ('un café à côté de l’hôtel', 'cp1252'), ('naïve', 'cp1252')])
def test_code_pages_are_told_apart(text, encoding):
    assert guess(text.encode(encoding)) == encoding


def test_a_letter_at_the_end_of_a_block_is_whole(tmp_path, monkeypatch):
    monkeypatch.setattr('tqd_jax.clips.listing.encoding.BLOCK', 16)
    for shift in range(4):
        path = written(tmp_path, 'm.csv', f'clip,caption\n{"a" * shift}.mp4,{"é漢" * 20}\n')
        assert captions(path) == ['é漢' * 20]


@pytest.mark.parametrize('header', [
    'clip,caption', 'Clip,Caption', ' clip , caption ', 'FILE_NAME,TEXT', 'File Name,Prompt', 'video-path,text', 'video,prompt',
    'path,description', 'file,captions', 'filename,caption', 'videoFile,prompt', '"clip","caption"'])
def test_headers_of_any_case_and_name(tmp_path, header):
    assert captions(written(tmp_path, 'm.csv', f'{header}\na.mp4,a red disc\n')) == ['a red disc']


def test_space_after_the_delimiter_and_quotes(tmp_path):
    path = written(tmp_path, 'm.csv', 'clip, caption\na.mp4, "a red disc, moving"\r\nb.mp4, "two\nlines"\n\n')
    assert captions(path) == ['a red disc, moving', 'two\nlines'] and read_clips(path)['clip'][0].as_py() == f'{tmp_path}/a.mp4'


def test_the_user_names_columns(tmp_path):
    path = written(tmp_path, 'm.csv', 'where,caption,what\na.mp4,no,yes\n')
    assert captions(path, columns='clip=where,caption=what') == ['yes']
    with pytest.raises(UserError, match=r'has no column words; it has where, caption, what'):
        find(path, columns='clip=where,caption=words')
    for wrong in ('clip', 'clip=', 'picture=where', 'clip=a,clip=b'):
        with pytest.raises(UserError, match=r"config\.data\.columns=.*: write it as 'clip=video,caption=prompt'"):
            find(path, columns=wrong)
    with pytest.raises(UserError, match=r'--columns=clip: write'):
        find(path, '--clips', columns='clip')


def test_scores_of_a_csv_are_numbers_and_a_wrong_one_is_named(tmp_path):
    table = read_clips(written(tmp_path, 'm.csv', 'clip,mq,vq\na.mp4,0.5,1\nb.mp4, 1e-1 ,0\n'))
    assert table['mq'].to_pylist() == [0.5, 0.1] and table['vq'].to_pylist() == [1, 0]
    for value, message in (('high', "row 1: mq is 'high', not a number"), ('0;5', 'not a number'), ('"0,5"', 'write decimals with a point'),
                           ('', 'row 1: mq is None')):
        with pytest.raises(UserError, match=message):
            read_clips(written(tmp_path, 'm.csv', f'clip,mq,vq\na.mp4,0.5,1\nb.mp4,{value},0\n'))


def test_clips_that_are_not_there_are_counted(tmp_path):
    (tmp_path / 'a.mp4').touch()
    found = find(written(tmp_path, 'm.csv', 'clip\na.mp4\ngone.mp4\nalso.mp4\ns3://bucket/b.mp4\nsub\\\\w.mp4\n'))
    assert [line for line in found.lines if 'not there' in line] == [
        f'3 of 5 clips of {tmp_path}/m.csv are not there: the first is {tmp_path}/gone.mp4']


def test_paths_of_windows_are_found(tmp_path):
    (tmp_path / 'sub').mkdir()
    (tmp_path / 'sub/a.mp4').touch()
    assert read_clips(written(tmp_path, 'm.csv', 'clip\nsub\\a.mp4\n'))['clip'].to_pylist() == [f'{tmp_path}/sub/a.mp4']


@pytest.mark.parametrize('end', ['', '\n'])
def test_a_letter_at_the_end_of_a_file_is_not_half_a_letter_of_utf_8(end):
    data = f'un café{end}'.encode('cp1252')
    assert decode(data) == (f'un café{end}', 'cp1252') and encoding_of(io.BytesIO(data)) == 'cp1252'
    half = 'un café'.encode()[:-1]
    assert decode(half, cut=True)[1] == 'utf-8' and decode(half)[1] == 'cp1252'
    long = ('é' * BLOCK).encode()[:-1]  # the blocks of a file cut letters too
    assert encoding_of(io.BytesIO(b'x' + long + b'\xa9')) == 'utf-8'


def test_half_a_letter_at_the_end_of_utf_8_spoils_nothing_else():
    data = 'ein größerer Kreis, très près'.encode()
    for count in range(len(data) - 5, len(data) + 1):
        text, encoding = decode(data[:count])
        assert encoding == encoding_of(io.BytesIO(data[:count])) == 'utf-8' and text.startswith('ein größerer Kreis')


def test_a_letter_that_is_none_of_utf_8_counts_in_any_block():
    data = ('é' * BLOCK).encode() + 'ü'.encode('cp1252') + b' x'
    assert encoding_of(io.BytesIO(data)) != 'utf-8' and encoding_of(io.BytesIO(('é' * BLOCK).encode())) == 'utf-8'


@pytest.mark.parametrize('name', ['m.jsonl', 'm.json'])
def test_half_a_letter_in_json_spoils_nothing_else(tmp_path, name):
    (tmp_path / name).write_text('{"clip": "a.mp4", "caption": "a face \\ud83d\\ude00"}\n{"clip": "b.mp4", "caption": "cut \\ud83d"}\n')
    assert find(str(tmp_path / name)).table['caption'].to_pylist() == ['a face \N{GRINNING FACE}', 'cut \ufffd']


def test_a_caption_that_was_cut_within_a_letter_leaves_the_others_utf_8(tmp_path):
    long = 'größer und höher über den Dächern für ältere Bürger wie schön und nötig'
    (tmp_path / 'm.csv').write_bytes(f'clip,caption\na.mp4,{long}\n'.encode() + b'b.mp4,caf\xc3\nc.mp4,c\n')
    found = find(str(tmp_path / 'm.csv'))
    assert found.table['caption'].to_pylist() == [long, 'caf\ufffd', 'c']
    assert any('read as UTF-8, with bytes that are no letters' in line for line in found.lines)
