"""Tables as programs and people really write them: quotes that do not close, Excel's lines, JSON of other shapes."""
import json

import pyarrow as pa
import pyarrow.parquet
import pytest

from tqd_jax.clips.manifest import find
from transfer_jax.runtime.errors import UserError


def captions(folder, name, content):
    (folder / name).write_text(content, 'utf-8')
    table = find(str(folder / name)).table
    return {row['clip'].removeprefix(f'{folder}/'): row['caption'] for row in table.select(['clip', 'caption']).to_pylist()}


@pytest.mark.parametrize('sign', [',', '\t', ';'])
@pytest.mark.parametrize('rows', [
    [('a.mp4', '"a dog'), ('b.mp4', 'b cat'), ('c.mp4', 'a "bird" here')],
    [('a.mp4', '"a dog'), ('b.mp4', 'b cat'), ('c.mp4', 'called "Rex"')],
    [('a.mp4', '"a dog'), ('b.mp4', 'b cat"'), ('c.mp4', 'c')],
    [('a.mp4', 'a'), ('b.mp4', '"never closed'), ('c.mp4', 'c')],
])
def test_a_quote_that_is_not_closed_takes_no_other_row(tmp_path, sign, rows):
    text = ''.join(f'{sign.join(row)}\n' for row in [('clip', 'caption'), *rows])
    with pytest.raises(UserError, match=r'row [01]: a quote opens a value and does not close it'):
        captions(tmp_path, 'm.csv', text)


@pytest.mark.parametrize(('text', 'expected'), [
    ('clip\tcaption\na.mp4\t"Hi" he said\nb.mp4\t"b\n', {'a.mp4': '"Hi" he said', 'b.mp4': '"b'}),
    ('clip,caption\na.mp4,"Hi, he" said\n', {'a.mp4': 'Hi, he said'}),
    ('caption,clip\n"one\ntwo, ""three""",a.mp4\n"x\ny",b.mp4\n', {'a.mp4': 'one\ntwo, "three"', 'b.mp4': 'x\ny'}),
])
def test_other_quotes_are_text(tmp_path, text, expected):
    assert captions(tmp_path, 'm.csv', text) == expected


@pytest.mark.parametrize('text', ['sep=;\r\nclip;caption\r\na.mp4;one, two\r\n', '\ufeff"sep=\t"\nclip\tcaption\na.mp4\tone, two\n',
                                  '\n\nclip,caption\na.mp4,"one, two"\n', 'clip,caption,,\na.mp4,"one, two",,\n'])
def test_lines_above_a_header_and_columns_without_a_name_refuse_nothing(tmp_path, text):
    assert captions(tmp_path, 'm.csv', text) == {'a.mp4': 'one, two'}


@pytest.mark.parametrize('data', [{'1': {'video_path': 'a.mp4', 'caption': 'A'}, '2': {'video_path': 'b.mp4', 'caption': 'B'}},
                                  {'a.mp4': {'path': '/elsewhere/1.mp4', 'caption': 'A'}, 'b.mp4': {'caption': 'B'}}])
def test_json_by_name_says_which_file_it_is(tmp_path, data):
    assert captions(tmp_path, 'm.json', json.dumps(data)) == {'a.mp4': 'A', 'b.mp4': 'B'}


def test_json_lines_that_are_called_json(tmp_path):
    text = '{"clip": "a.mp4", "caption": "A"}\n{"clip": "b.mp4", "caption": "B"}\n'
    assert captions(tmp_path, 'm.json', text) == {'a.mp4': 'A', 'b.mp4': 'B'}


def test_json_of_several_lists_gives_no_clip_the_captions_of_all(tmp_path):
    data = {'videos': [{'video_id': 'a'}, {'video_id': 'b'}], 'sentences': [{'video_id': name, 'caption': name} for name in 'ab']}
    with pytest.raises(UserError, match='several lists of rows, videos, sentences'):
        captions(tmp_path, 'm.json', json.dumps(data))


@pytest.mark.parametrize(('column', 'expected'), [
    (pa.array([['A', 'B'], None], pa.list_(pa.string(), 2)), (['A', 'B'], '')),
    (pa.array([[{'caption': 'A'}, {'caption': 'B'}], []]), (['A', 'B'], '')),
    (pa.array([{'short': 'A', 'long': 'B'}, {'short': None, 'long': ' '}]), (['A', 'B'], '')),
    (pa.array([[('short', 'A'), ('long', 'B')], None], pa.map_(pa.string(), pa.string())), (['A', 'B'], '')),
    (pa.array([b'A', None]), ('A', '')), (pa.array(['A', ' \n']), ('A', '')), (pa.array(['A', 'A']).dictionary_encode(), ('A', 'A')),
])
def test_captions_of_every_type_of_parquet(tmp_path, column, expected):
    path = tmp_path / 'm.parquet'
    pa.parquet.write_table(pa.table({'clip': ['a.mp4', 'b.mp4'], 'caption': column}), path)
    rows = find(str(path)).table.to_pylist()
    assert tuple(row.get('captions') or row['caption'] for row in rows) == expected


def test_captions_are_counted_by_clip(tmp_path):
    (tmp_path / 'm.csv').write_text('clip,caption\na.mp4,A\na.mp4,B\nb.mp4,C\n')
    assert find(str(tmp_path / 'm.csv')).origins == {f'{tmp_path}/m.csv': 2}


@pytest.mark.parametrize('text', ['clip,caption\na.mp4,A\n,\n , \nb.mp4,B\n,,\n', 'clip,caption,x,x\na.mp4,A,1,2\nb.mp4,B,3,4\n'])
def test_rows_without_a_value_and_a_name_twice_that_nobody_reads_refuse_nothing(tmp_path, text):
    assert captions(tmp_path, 'm.csv', text) == {'a.mp4': 'A', 'b.mp4': 'B'}


def test_two_columns_of_captions_of_one_name_are_refused(tmp_path):
    with pytest.raises(UserError, match='two columns of one name: clip, caption, caption'):
        captions(tmp_path, 'm.csv', 'clip,caption,caption\na.mp4,A,B\n')


@pytest.mark.parametrize('video', ['AAAAIGZ0eXBpc29t' * 400, 'data:video/mp4;base64,AAAA'])
@pytest.mark.parametrize('name', ['m.csv', 'm.jsonl', 'm.parquet'])
def test_a_video_as_text_is_a_short_error(tmp_path, video, name):
    if name == 'm.parquet':
        pyarrow.parquet.write_table(pa.table({'video': [video], 'caption': ['A']}), tmp_path / name)
    else:
        row = json.dumps({'video': video, 'caption': 'A'}) if name == 'm.jsonl' else f'video,caption\n"{video}",A'
        (tmp_path / name).write_text(f'{row}\n')
    with pytest.raises(UserError, match='row 0: clip holds the bytes of a video as text') as error:
        find(str(tmp_path / name))
    assert len(str(error.value).replace(str(tmp_path), '')) < 250


def test_blank_lines_of_two_lists_are_no_clips(tmp_path):
    (tmp_path / 'prompts.txt').write_text('A\n\nB\n')
    assert captions(tmp_path, 'videos.txt', 'a.mp4\n\nb.mp4\n') == {'a.mp4': 'A', 'b.mp4': 'B'}
    (tmp_path / 'prompts.txt').write_text('A\nlost\nB\n')
    with pytest.raises(UserError, match="a caption, 'lost', in whose line"):
        find(str(tmp_path / 'videos.txt'))
