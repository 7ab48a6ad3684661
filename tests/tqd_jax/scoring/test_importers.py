"""Importers: files as the tools write them, orders kept, paths as pathlib has them, and one clear line for every fault."""
import json
import pathlib
import posixpath

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
import pytest
import scipy.stats as st
from hypothesis import given
from hypothesis import strategies as some

from tqd_jax.clips.manifest import read_clips
from tqd_jax.scoring.importers.scores import import_scores, merge
from tqd_jax.scoring.importers.tools import FORMATS
from transfer_jax.runtime.errors import UserError


def lines(rows):
    return ''.join(json.dumps(row) + '\n' for row in rows)


def vbench(**dimensions):
    return json.dumps({name: [0.5, [{'video_path': f'{clip}.mp4', 'video_results': value} for clip, value in videos.items()]]
                       for name, videos in dimensions.items()}, indent=4)


def cosmos(clip, motion, visual):
    return {'span_uuid': clip, 'duration_span': [0.0, 5.0], 'width_source': 1920, 'clip_location': f'{clip}.mp4', 'valid': True,
            'motion_score': {'global_mean': motion, 'per_patch_min_256': 0.1}, 'aesthetic_score': visual,
            'windows': [{'start_frame': 0, 'end_frame': 30, 'qwen_caption': 'a person walks'}]}


DJ = '<__dj__video> a dog runs <|__dj__eoc|>'
# in all of them clip b moves more than a, c most; of visual quality, a has most, then c, then b
FILES = {
    'videoalign': ('out_single.csv', 'path,model,prompt,fps,num_frames,reward_VQ,reward_MQ,reward_TA,reward_Overall\n'
                   'a.mp4,x,a dog runs,24,81,1.5,-1.1,0.2,0.6\nb.mp4,x,"a, b",24,81,-0.3,0.4,0.1,0.2\nc.mp4,x,c,24,81,0.9,0.8,0,1.7\n'),
    'dover': ('demo.csv', 'path, aesthetic score, technical score, overall/final score\n'
              'a.mp4, 61.250000, 70.125000,66.000000\nb.mp4, 41.2, 20.1,28.0\nc.mp4, 51.2, 60.1,56.0\n'),
    'vbench': ('x_eval_results.json', vbench(
        dynamic_degree={'a': False, 'b': True, 'c': True}, motion_smoothness={'c': 0.97, 'a': 1, 'b': 0.9},
        aesthetic_quality={'a': 0.7, 'c': 0.6, 'b': 0.5}, imaging_quality={'b': 30, 'c': 60, 'a': 71.5})),
    'openvid': ('OpenVid-1M.csv', 'video,caption,aesthetic score,motion score,temporal consistency score,camera motion,frame,fps,seconds\n'
                'a.mp4,a dog runs,5.9,0.1,0.99,static,100,24,4.1\nb.mp4,"two\nlines",4.2,3.5,0.98,pan,80,30,2.7\n'
               'c.mp4,c,5,9,1,zoom,9,9,1\n'),
    'opensora': ('meta_aes_flow.csv', 'path,text,num_frames,fps,aes,flow\n'
                 'a.mp4,a dog runs,90,24,6,0.2\nb.mp4,b,9,9,4.5,1\nc.mp4,c,9,9,5,7.5\n'),
    'koala36m': ('Koala_36M_1.csv', 'videoID,url,timestamp,caption,clarity_score,aesthetic_score,motion_score,'
                 'video_training_suitability_score\n'
                 'a,u,"[\'0:00\', \'0:05\']",a dog runs,0.98,5.1,0.3,4.4\nb,u,t,b,0.5,3.1,5.3,3\nc,u,t,c,0.8,4.1,23.8,4\n'),
    'cosmos_curate': ('meta.jsonl', lines([cosmos('a', 0.001, 6.0), cosmos('b', 0.002, 3.5), cosmos('c', 0.1, 5.0)])),
    'data_juicer': ('demo.jsonl', lines([{'text': text, 'videos': [f'{clip}.mp4'], '__dj__stats__': {
        'video_motion_score': [motion], 'video_frames_aesthetics_score': [visual], 'video_duration': [5]}}
        for clip, text, motion, visual in (('a', DJ, 0.5, 0.6), ('b', DJ, 1.5, 0.3), ('c', DJ, 9, 0.4))])),
    'finetrainers': ('cakeify.parquet', pa.table({'file': ['a.mp4', 'b.mp4', 'c.mp4'], 'aesthetic_score': [[5.0, 7.0], [3.0], [4.5, 4.6]],
                                                  'motion_fb': [0.2, 3.0, 4.0], 'motion_lk': [0.1, 2.0, 3.0], 'pwatermark': [[0.1]] * 3})),
    'videox_fun': ('all.jsonl', lines([
        {'video_path': f'{clip}.mp4', 'sample_frame_idx': [0, 9], 'aesthetic_score': visual, 'motion_score': motion}
        for clip, motion, visual in (('a', 1, [6.0, 5.0]), ('b', 4.7, [4.0, 4.1]), ('c', 5.3, [5.0, 4.9]))])),
    'laion': ('aesthetics.parquet', pa.table({'path': ['a.mp4', 'b.mp4', 'c.mp4'], 'aesthetic': pa.array([6, 4, 5], pa.float32())})),
}


def written(folder, name, content):
    path = folder / name
    if isinstance(content, str):
        path.write_text(content, encoding='utf-8')
    else:
        pa.parquet.write_table(content, path)
    return path


@pytest.mark.parametrize('tool', FILES)
def test_a_tool_is_recognised_and_its_orders_are_kept(tmp_path, tool):
    path = written(tmp_path, *FILES[tool])
    table = import_scores(path)
    assert table.equals(import_scores(path, tool=tool)) and table.schema.metadata == {b'tool': tool.encode()}
    assert table['clip'].to_pylist() == [str(tmp_path / f'{clip}.mp4') for clip in 'abc']
    motion, visual = (table[name].to_numpy(zero_copy_only=False) for name in ('motion', 'visual'))
    assert np.isnan(motion).all() if tool in ('dover', 'laion') else motion[0] < motion[1] <= motion[2]
    assert visual[0] > visual[2] > visual[1]
    if 'caption' in table.column_names:
        assert table['caption'][0].as_py() == 'a dog runs'
    assert {table.schema.field(name).type for name in table.column_names if name not in ('clip', 'caption')} == {pa.float64()}


def test_every_format_is_tried_and_names_are_unique():
    assert {form.name for form in FORMATS} == FILES.keys() | {'nemo_curator'} and len(FORMATS) == len(FILES) + 1


def test_other_numbers_keep_their_names_and_texts_go(tmp_path):
    table = import_scores(written(tmp_path, *FILES['openvid']))
    assert table.column_names == ['clip', 'motion', 'visual', 'caption', *(f'openvid_{name}' for name in (
        'aesthetic score', 'motion score', 'temporal consistency score', 'frame', 'fps', 'seconds'))]
    assert table['caption'][1].as_py() == 'two\nlines' and table['openvid_frame'].to_pylist() == [100.0, 80.0, 9.0]
    assert 'cosmos_curate_motion_score.per_patch_min_256' in import_scores(written(tmp_path, *FILES['cosmos_curate'])).column_names


def test_two_columns_of_an_axis_are_standardised(tmp_path):
    table = import_scores(written(tmp_path, *FILES['vbench']))
    expected = (st.zscore([71.5, 30, 60]) + st.zscore([0.7, 0.5, 0.6])) / 2
    np.testing.assert_allclose(table['visual'], expected)
    by_hand = import_scores(written(tmp_path, *FILES['dover']), columns={'clip': 'path', 'visual': 'technical score + -aesthetic score'})
    expected = (st.zscore([70.125, 20.1, 60.1]) - st.zscore([61.25, 41.2, 51.2])) / 2
    np.testing.assert_allclose(by_hand['visual'], expected)


def test_own_columns_and_lower_is_better(tmp_path):
    path = written(tmp_path, 'own.csv', 'file,niqe,flow\na.mp4,3.5,1\nb.mp4,7,2\n')
    table = import_scores(path, columns={'clip': 'file', 'motion': 'flow', 'visual': '-niqe'})
    assert table['motion'].to_pylist() == [1, 2] and table['visual'].to_pylist() == [-3.5, -7] and table['own_niqe'].to_pylist() == [3.5, 7]
    changed = import_scores(written(tmp_path, *FILES['dover']), tool='dover', columns={'visual': 'technical score'})
    assert changed['visual'].to_pylist() == changed['dover_technical score'].to_pylist() == [70.125, 20.1, 60.1]


@pytest.mark.parametrize('kind', ['csv', 'jsonl', 'json', 'parquet', 'large', 'dictionary'])
def test_all_kinds_of_file_say_the_same(tmp_path, kind):
    rows = [{'path': 'a.mp4', 'text': 'é', 'aes': 5.5, 'flow': 1}, {'path': 'b c.mp4', 'text': None, 'aes': None, 'flow': 2}]
    rows.append({'path': 'd.mp4', 'text': 'd', 'aes': 4.25, 'flow': 3})
    table = pa.Table.from_pylist(rows)
    texts = {'large': pa.large_string(), 'dictionary': pa.dictionary(pa.int32(), pa.string())}.get(kind, pa.string())
    path = tmp_path / f'm.{kind if kind not in ("large", "dictionary") else "parquet"}'
    if path.suffix == '.parquet':
        columns = {name: table[name].cast(texts) if name in ('path', 'text') else table[name] for name in table.column_names}
        pa.parquet.write_table(pa.table(columns), path)
    elif kind == 'csv':
        pa.csv.write_csv(table, path)
    else:
        path.write_text(lines(rows) if kind == 'jsonl' else json.dumps(rows))
    out = import_scores(path, root='/x')
    assert out.to_pydict() == {'clip': ['/x/a.mp4', '/x/b c.mp4', '/x/d.mp4'], 'motion': [1, 2, 3], 'visual': [5.5, None, 4.25],
                               'caption': ['é', None, 'd'], 'opensora_aes': [5.5, None, 4.25], 'opensora_flow': [1, 2, 3]}


def test_what_is_not_finite_is_null_up_to_half(tmp_path):
    text = 'path,aes,flow\n' + ''.join(f'{clip}.mp4,{aes},1\n' for clip, aes in zip('abcdef', (5, 'nan', 'inf', '', 4, 6.5), strict=True))
    assert import_scores(written(tmp_path, 'm.csv', text))['visual'].to_pylist() == [5, None, None, None, 4, 6.5]
    with pytest.raises(UserError, match=r'm.csv: 4 of 7 rows have no finite visual \(aes\)'):
        import_scores(written(tmp_path, 'm.csv', text + 'g.mp4,-inf,2\n'))
    failed = written(tmp_path, 'm.jsonl', lines([cosmos('a', 0.1, 5), cosmos('b', -1.0, -1.0)]))
    assert import_scores(failed)['visual'].to_pylist() == [5, None] and import_scores(failed)['motion'].to_pylist() == [0.1, -1]


def test_frames_count_as_their_mean_and_a_list_in_a_csv_is_one(tmp_path):
    text = 'video_path,aesthetic_score,motion_score\na.mp4,"[4.0, 5.0]",1\nb.mp4,"[3.5]",2\nc.mp4,[],3\n'
    assert import_scores(written(tmp_path, 'm.csv', text))['visual'].to_pylist() == [4.5, 3.5, None]


def test_a_sample_of_several_videos_is_several_rows(tmp_path):
    samples = {'one': ('ab', [1.0, -1.0]), 'none': ('', []), 'two': ('cd', [3.0]), 'three': ('e', [5.0]), 'four': ('f', [6.0])}
    rows = [{'videos': [f'{clip}.mp4' for clip in clips], 'text': text, '__dj__stats__': {
        'video_motion_score': motion, 'video_frames_aesthetics_score': [0.5] * len(motion), 'text_len': 7}}
        for text, (clips, motion) in samples.items()]  # of 'two' only one video was read: whose is 3?
    table = import_scores(written(tmp_path, 'm.jsonl', lines(rows)), root='.')
    assert table['clip'].to_pylist() == [f'{clip}.mp4' for clip in 'abcdef'] and table['motion'].to_pylist() == [1, None, None, None, 5, 6]
    assert table['caption'].to_pylist() == ['one', 'one', 'two', 'two', 'three', 'four']


def test_a_folder_is_one_table(tmp_path):
    for clip, motion in zip('ba', (2.0, 1.0), strict=True):
        written(tmp_path, f'{clip}.json', json.dumps(cosmos(clip, motion, 5), indent=4))
    (tmp_path / 'notes.txt').touch()
    table = import_scores(tmp_path, tool='nemo_curator')
    assert table['clip'].to_pylist() == [str(tmp_path / 'a.mp4'), str(tmp_path / 'b.mp4')] and table['motion'].to_pylist() == [1, 2]
    written(tmp_path, *FILES['dover'])
    with pytest.raises(UserError, match='one kind'):
        import_scores(tmp_path)


def test_decimal_commas_are_refused_not_taken_for_lists(tmp_path):
    text = 'path,flow\na.mp4,1\nb.mp4,"0,4"\n'
    with pytest.raises(UserError, match='flow is no score: 0,4 in row 1 has a comma; write decimals with a point'):
        import_scores(written(tmp_path, 'm.csv', text))
    frames = import_scores(written(tmp_path, 'l.csv', 'path,flow\na.mp4," [0, 4]"\nb.mp4,3\nc.mp4,\n'))
    assert frames['motion'].to_pylist() == [2, 3, None]


def test_a_table_of_path_and_aesthetics_is_laions(tmp_path):
    tool = lambda header, row: import_scores(written(tmp_path, 'm.csv', f'{header}\n{row}\n')).schema.metadata[b'tool']
    assert tool('path,aesthetic_score', 'a,5') == b'laion' == tool('path,caption,aesthetic_score', 'a,b,5')
    assert tool('path,text,aesthetic_score', 'a,b,5') == b'opensora' == tool('path,aesthetic_score,flow', 'a,5,1')


def test_texts_of_other_encodings_and_several_captions(tmp_path):
    (tmp_path / 'm.csv').write_bytes('path;prompt;reward_MQ\n0001.mp4;Café;1\n'.encode('cp1252'))
    assert import_scores(tmp_path / 'm.csv')['caption'].to_pylist() == ['Café']
    several = import_scores(written(tmp_path, 'm.jsonl', lines([{'path': 'a.mp4', 'prompt': ['b', 'c'], 'reward_MQ': 1}])))
    assert several['caption'].to_pylist() == ['b'] and several['captions'].to_pylist() == [['b', 'c']]
    with pytest.raises(UserError, match=r'the caption prompt is of type list<.*>, not text'):
        import_scores(written(tmp_path, 'm.jsonl', lines([{'path': 'a.mp4', 'prompt': [1], 'reward_MQ': 1}])))


def test_paths_and_captions_of_scores_stay_text_and_other_columns_refuse_nothing(tmp_path):
    table = import_scores(written(tmp_path, 'm.csv', 'videoID,caption,motion_score,clarity_score,aesthetic_score\n00001,007,1,1,1\n'))
    assert table['clip'].to_pylist() == [f'{tmp_path}/00001.mp4'] and table['caption'].to_pylist() == ['007']
    rows = [{'path': 'a.mp4', 'text': '2024-01-01', 'flow': 1, 'id': 1}, {'path': 'b.mp4', 'text': 'true', 'flow': 2, 'id': 'x'}]
    assert import_scores(written(tmp_path, 'm.jsonl', lines(rows)))['caption'].to_pylist() == ['2024-01-01', 'true']


def test_faults_of_structs_and_utf16(tmp_path):
    nested = pa.table({'path': ['a.mp4'], 's': [{'x': {'y': 1.0}}], 's.x.y': [2.0], 'flow': [1.0]})
    with pytest.raises(UserError, match=r'two columns are named s\.x\.y'):
        import_scores(written(tmp_path, 'm.parquet', nested))
    (tmp_path / 'u.csv').write_bytes('path,flow\na.mp4,1\n'.encode('utf-16'))
    assert import_scores(tmp_path / 'u.csv')['motion'].to_pylist() == [1]


def test_a_column_that_starts_late_is_read(tmp_path):
    text = 'path,flow,aes\n' + ''.join(f'{i:060}.mp4,{i if i > 30_000 else ""},{5 if i < 30_000 else 4.5}\n' for i in range(60_000))
    table = import_scores(written(tmp_path, 'm.csv', text).rename(tmp_path / 'late.csv'), columns={'clip': 'path', 'visual': 'aes'})
    assert len(text) > 2**22 and table['own_flow'].null_count == 30_001 and table['own_flow'][-1].as_py() == 59_999


SEGMENTS = some.lists(some.sampled_from(['a', 'b c', '.', '..', 'é', '', '.hidden']), min_size=1, max_size=5)


@given(SEGMENTS, some.sampled_from(['/root/sub', '/', '.', 'rel/x']))
def test_paths_are_pathlibs(tmp_path_factory, segments, root):
    name = '/'.join(segments) + '/clip.mp4'
    if name.startswith('//'):
        return  # POSIX leaves its meaning open
    path = written(tmp_path_factory.mktemp('paths'), 'm.csv', f'path,flow\n"{name}",1\n')
    assert import_scores(path, root=root)['clip'].to_pylist() == [str(pathlib.Path(root) / name)]


def test_addresses_stay(tmp_path):
    path = written(tmp_path, 'm.csv', 'path,flow\ns3://bucket//a.mp4,1\n/abs/b.mp4,2\n./c.mp4,3\n')
    assert import_scores(path)['clip'].to_pylist() == ['s3://bucket//a.mp4', '/abs/b.mp4', posixpath.join(tmp_path, 'c.mp4')]


def test_imported_scores_are_a_manifest(tmp_path):
    table = import_scores(written(tmp_path, *FILES['openvid']))
    pa.parquet.write_table(table, tmp_path / 'clips.parquet')
    back = read_clips(str(tmp_path / 'clips.parquet'))
    assert back.select(table.column_names).to_pydict() == table.to_pydict()


def test_one_gave_motion_and_another_visual_quality(tmp_path):
    rows = [{'video_path': f'{clip}.mp4', 'motion_score': i} for i, clip in enumerate('abc')]
    flow = import_scores(written(tmp_path, 'flow.jsonl', lines(rows)))
    visual = import_scores(written(tmp_path, 'visual.csv', 'path,overall/final score\nd.mp4,9\nb.mp4,60\na.mp4,50\n'))
    both = merge([flow, visual])
    assert [pathlib.Path(clip).stem for clip in both['clip'].to_pylist()] == ['a', 'b', 'c', 'd']
    assert both['motion'].to_pylist() == [0, 1, 2, None] and both['visual'].to_pylist() == [50, 60, None, 9]
    assert both['dover_overall/final score'].to_pylist() == [50, 60, None, 9]
    assert merge([both, flow, visual]).equals(both) and merge([visual, flow]).sort_by('clip').select(both.column_names).equals(both)
    other = import_scores(written(tmp_path, 'other.csv', 'path,overall/final score\nb.mp4,61\n'))
    with pytest.raises(UserError, match=r'b.mp4 has visual 60.0 in one table and 61.0 in another'):
        merge([both, other])
    with pytest.raises(UserError, match=r'a\.mp4 is listed 2 times'):
        merge([pa.concat_tables([flow, flow])])


@pytest.mark.parametrize(('name', 'text', 'options', 'message'), [
    ('m.csv', 'path,b\nx,1\n', {}, r"has the columns path, b, which is no known tool's; the tools known are videoalign, dover.*=\{'clip'"),
    ('m.csv', 'path,VQ,MQ,technical score,aesthetic score\nx,1,1,1,1\n', {}, 'may be videoalign or dover: say which with tool='),
    ('m.csv', 'videoID,url,matching_score\nx,u,1\n', {}, 'no known tool'),  # Panda-70M has neither motion nor visual quality
    ('m.csv', 'path,flow\nx,1\n', {'tool': 'dover'}, 'lack the clip or any score of dover'),
    ('m.csv', 'path,flow\nx,1\n', {'tool': 'drover'}, "no tool 'drover'"),
    ('m.csv', 'path,flow\nx,1\n', {'columns': {'path': 'path'}}, 'columns has path, and may have only clip, motion, visual, caption'),
    ('m.csv', 'path,flow\nx,1\n', {'columns': {'clip': 'path', 'motion': 'flow + speed'}}, 'lack motion = flow . speed'),
    ('m.csv', 'path,flow\nx,1\n,2\n', {}, r'the clip is None in row 1, not a path'),
    ('m.csv', 'path,flow\nx,1\n./x,2\n', {}, 'x is listed 2 times'),
    ('m.csv', 'path,flow\nx,fast\n', {}, "flow is no score: Failed to parse string: 'fast'"),
    ('m.csv', 'path,flow\n', {}, 'has no rows'),
    ('m.csv', '', {}, 'cannot be read: Empty CSV file'),
    ('m.jsonl', '{"path": "x", "flow": 1}\n{"path"', {}, 'cannot be read'),
    ('m.json', '[{"path": "x"', {}, 'cannot be read'),
    ('m.json', '5', {}, 'a row is no object'), ('m.json', '["a"]', {}, 'a row is no object'),
    ('m.json', '{"x": [0.5, [{"path": "a", "score": 1}]]}', {}, 'a video of x has no video_path and video_results'),
    ('m.json', '{"x": [0.5, [3]]}', {}, 'a video of x has no'),
    ('m.json', '{"results": [{"path": "a", "flow": 1}]}', {}, 'no column of numbers, nor one that a known tool writes, but only results'),
    ('m.csv', 'path;flow\na;1,5\n', {}, 'flow is no score: 1,5 in row 0 has a comma'),
    ('m.csv', 'one,two\na,b\n', {}, 'no column of numbers, nor one that a known tool writes, but only one, two'),
    ('m.csv', 'flow, flow\n1,2\n', {}, 'two columns are named flow'),
    ('m.csv', 'path,text,flow\na.mp4,"a disc,1\nb.mp4,x,2\nc.mp4,"y",3\n', {}, r'row 0: a quote opens a value and does not close it'),
    ('m.csv', 'path,text,flow\na.mp4,x,1\nb.mp4,"y,2\nc.mp4,z,3\n', {}, r'row 1: a quote opens a value and does not close it'),
    ('m.parquet', 'no table', {}, 'cannot be read'),
    ('m.txt', 'path,flow\n', {}, r'no such file, nor a folder of files of one kind \(.parquet, .csv')])
def test_faults_are_named_on_one_line(tmp_path, name, text, options, message):
    with pytest.raises(UserError, match=message) as caught:
        import_scores(written(tmp_path, name, text), **options)
    assert str(tmp_path / name) in str(caught.value) and '\n' not in str(caught.value)


def test_a_value_of_several_lines_is_one(tmp_path):
    path = written(tmp_path, 'm.csv', 'path,text,flow\na.mp4,"a disc\nand ""more""",1\nb.mp4,x,2\n')
    assert import_scores(path)['caption'].to_pylist() == ['a disc\nand "more"', 'x']


def test_an_absent_file_is_named(tmp_path):
    with pytest.raises(UserError, match='no such file'):
        import_scores(tmp_path / 'absent.csv')
