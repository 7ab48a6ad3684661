"""Folders as the trainers that people come from document them: every caption is found."""
import json
import math

import once
import pyarrow as pa
import pyarrow.parquet
import pytest
import small
from alone import one_device

from tqd_jax.clips.captions.file_names import names_hint
from tqd_jax.clips.captions.summary import caption_lines
from tqd_jax.clips.manifest import find
from tqd_jax.data.library import load_library
from tqd_jax.data.prepare import prepare
from tqd_jax.text.words import HashedWords
from tqd_jax.timesteps.quality import LawConfig
from tqd_jax.training.loop import train
from transfer_jax.runtime.errors import UserError

CAPTIONS = ['a red disc moves', 'a blue square rests', 'a green ring turns']
CLIPS = ['0.mp4', '1.mp4', '2.mp4']
SHAPES = {'data.dropout': 'none', 'data.held_out_fraction': 0.0}


def rows(clip, caption, prefix=''):
    return [{clip: f'{prefix}{name}', caption: text} for name, text in zip(CLIPS, CAPTIONS, strict=True)]


def table_csv(clip, caption, prefix=''):
    return f'{clip},{caption}\n' + ''.join(f'{row[clip]},"{row[caption]}"\n' for row in rows(clip, caption, prefix))


def json_lines(items):
    return ''.join(f'{json.dumps(item)}\n' for item in items)


BESIDE = {f'{name[0]}.txt': text for name, text in zip(CLIPS, CAPTIONS, strict=True)}
FOLDERS = {  # name: (folder of the videos, files, what is named, the captions that are seen)
    'musubi-tuner, caption_extension': ('', BESIDE, '.'),
    'musubi-tuner, .caption': ('', {name.replace('.txt', '.caption'): text for name, text in BESIDE.items()}, '.'),
    'musubi-tuner, video_jsonl_file': ('videos', {'m.jsonl': json_lines(rows('video_path', 'caption', 'videos/'))}, 'm.jsonl'),
    'diffusion-pipe, .txt': ('', BESIDE, '.'),
    'diffusion-pipe, captions.json': ('', {'captions.json': json.dumps(dict(zip(CLIPS, CAPTIONS, strict=True)))}, '.'),
    'SimpleTuner, textfile': ('deep/tree', {f'deep/tree/{name}': text for name, text in BESIDE.items()}, '.'),
    'SimpleTuner, parquet': ('', {'metadata.parquet': pa.Table.from_pylist(rows('filename', 'caption'))}, '.'),
    'SimpleTuner, json lines': ('', {'metadata.jsonl': json_lines(rows('filename', 'description'))}, '.'),
    'finetrainers, two files': ('videos', {'prompt.txt': '\n'.join(CAPTIONS), 'videos.txt': '\n'.join(f'videos/{n}' for n in CLIPS)}, '.'),
    'finetrainers, the list': ('videos', {'prompts.txt': '\n'.join(CAPTIONS), 'videos.txt': '\n'.join(f'videos/{n}' for n in CLIPS)},
                               'videos.txt'),
    'finetrainers, pairs': ('', BESIDE, '.'),
    'finetrainers, metadata.csv': ('', {'metadata.csv': table_csv('file_name', 'caption')}, '.'),
    'finetrainers, metadata.json': ('', {'metadata.json': json.dumps(rows('file_name', 'prompt'))}, '.'),
    'finetrainers, old csv': ('videos', {'dataset.csv': table_csv('video_file', 'caption', 'videos/')}, 'dataset.csv'),
    'DiffSynth, metadata.csv': ('', {'metadata.csv': table_csv('video', 'prompt')}, '.'),
    'DiffSynth, metadata.jsonl': ('', {'metadata.jsonl': json_lines(rows('video', 'prompt'))}, '.'),
    'VideoX-Fun': ('train', {'metadata.json': json.dumps([row | {'type': 'video'} for row in rows('file_path', 'text', 'train/')])}, '.'),
    'LTX': ('videos', {'dataset.json': json.dumps(rows('media_path', 'caption', 'videos/'))}, 'dataset.json'),
    'Hugging Face, split': ('train', {'train/metadata.csv': table_csv('file_name', 'text')}, '.'),
}


def written(folder, videos, files):
    """A folder with three clips and what a trainer wants beside them."""
    small.moving(folder / videos, CLIPS)
    for name, content in files.items():
        if isinstance(content, pa.Table):
            pa.parquet.write_table(content, folder / name)
        else:
            (folder / name).write_text(content)
    return folder


@pytest.mark.parametrize('trainer', FOLDERS)
def test_every_caption_is_found(tmp_path, trainer):
    videos, files, named = FOLDERS[trainer]
    found = find(str(written(tmp_path, videos, files) / named))
    assert dict(zip((clip.rsplit('/', 1)[1] for clip in found.table['clip'].to_pylist()), found.table['caption'].to_pylist(),
                    strict=True)) == dict(zip(CLIPS, CAPTIONS, strict=True))
    assert sum(found.origins.values()) == 3 and not [line for line in found.lines if 'not there' in line]


@pytest.mark.parametrize('files', [{'0.txt': 'one\ntwo\n'}, {'captions.json': json.dumps({'0.mp4': ['one', 'two'], '1.mp4': 'x'})},
                                   {'metadata.parquet': pa.table({'filename': ['0.mp4'], 'caption': [['one', 'two']]})}])
def test_several_captions_of_a_clip_stay_several(tmp_path, files):
    table = find(str(written(tmp_path, '', files))).table
    assert table['captions'][0].as_py() == ['one', 'two'] and table['caption'][0].as_py() == 'one'


def test_a_library_has_the_captions_and_training_starts_with_them(tmp_path, capsys):
    folder, text = written(tmp_path / 'data', '', BESIDE | {'0.txt': f'{CAPTIONS[0]}\nanother way\n'}), HashedWords(length=8, vocab=64)
    changes = {'data.clips': str(folder), **SHAPES}
    data = small.config(**changes).data
    (tmp_path / 'run').mkdir()
    prepare(data, tmp_path / 'run', seed=0)
    assert '3 of 3 clips have a caption (3 from .txt beside each clip)' in capsys.readouterr().out
    library = load_library(data, tmp_path / 'run', text, LawConfig(kind='uniform'))
    assert list(library.captions) == CAPTIONS and list(library.further_captions) == ['another way']
    assert library.tokens.tolist() == text.prepare(CAPTIONS).tolist() and library.further.tolist() == [1, 0, 0]
    small.run(tmp_path / 'run', **changes, **{'train.steps': 2, 'checkpoint.every': 2, 'eval.every': 2})
    assert (tmp_path / 'run/weights.npz').exists()


def test_captions_that_are_file_names(tmp_path):
    clips = ['a_red_disc_moves.mp4', 'deep/a blue square rests.mov']
    small.moving(tmp_path / 'deep', [])
    for name in clips:
        (tmp_path / name).write_bytes(b'x')
    bare = find(str(tmp_path))
    line, = caption_lines(bare.table, bare.origins, bare.unread, 'config.data.columns')
    assert line.startswith('WARNING: NONE of 2') and line.endswith("as 'a red disc moves': config.data.columns=caption=filename")
    for spec in (str(tmp_path), f'{tmp_path}/a_*.mp4'):
        found = find(spec, columns='caption=filename')
        assert found.table['caption'][0].as_py() == 'a red disc moves' and found.origins == {'file names': len(found.table)}
    assert found.table.num_rows == 1
    assert find(str(tmp_path), columns='caption=filename').table['caption'][1].as_py() == 'a blue square rests'


@pytest.mark.parametrize('name', ['0001', 'clip_0001', 'dQw4w9WgXcQ_00012', 'ab-12-cd'])
def test_names_that_are_no_captions_are_not_taken_for_some(name):
    assert names_hint(pa.table({'clip': [f'/data of some place/{name}.mp4']}), 'columns') == ''


def test_a_pattern_of_videos_has_the_captions_beside_them(tmp_path):
    found = find(str(written(tmp_path, '', BESIDE) / '*.mp4'))
    assert found.table['caption'].to_pylist() == CAPTIONS and found.origins == {'.txt beside each clip': 3}


@pytest.mark.parametrize('videos, controls, files, way', [
    ('videos', 'control', {}, "{}/videos"), ('', 'depth_videos', {}, "'{}/*.mp4'"),
    ('', 'x', {'metadata.csv': 'video,prompt,control_video\n' + ''.join(f'{name},a,x/{name}\n' for name in CLIPS)},
     'the table, {}/metadata.csv')])
def test_control_videos_are_named_and_can_be_left_out(tmp_path, videos, controls, files, way):
    """finetrainers and musubi-tuner have them in a folder of their own, DiffSynth in a column."""
    folder = written(tmp_path, videos, files | {f'{videos}/{name}'.strip('/'): text for name, text in BESIDE.items() if not files})
    small.moving(folder / controls, CLIPS)
    way = way.format(folder)
    said = 'clips that may only control others, and count like any clip: 3'
    line, = [line for line in find(str(folder)).lines if line.startswith(said)]
    assert line == f'{said}, the first is {folder}/{controls}/0.mp4; to leave them out, name {way}'
    rest = find(way.removeprefix('the table, ').strip("'"))
    assert len(rest.table) == 3 and '' not in rest.table['caption'].to_pylist()
    assert not [line for line in rest.lines if line.startswith(said[:20])]


def test_a_folder_of_poses_alone_is_no_control(tmp_path):
    assert find(str(written(tmp_path, 'pose', {}))).lines == ()


STARTED = ('musubi-tuner, video_jsonl_file', 'diffusion-pipe, captions.json', 'SimpleTuner, json lines', 'finetrainers, two files',
           'DiffSynth, metadata.csv')


@pytest.mark.parametrize('trainer', STARTED)
def test_training_starts_with_the_folder_of_each_trainer(tmp_path, capsys, trainer):
    """One step of the tiny model, of the shapes that the test above has compiled."""
    videos, files, named = FOLDERS[trainer]
    folder, run = written(tmp_path / 'data', videos, files), tmp_path / 'run'
    changes = SHAPES | {'data.clips': f'{folder}/{named}', 'train.steps': 1}
    run.mkdir()
    with once.programs_once(), one_device():
        prepare(small.config(**changes).data, run, seed=0)
        state, _, stopped = train(small.built(run, **changes))
    assert '3 of 3 clips have a caption (3 from ' in capsys.readouterr().out and not stopped
    losses = [line['loss'] for line in small.scalars(run) if 'loss' in line]
    assert int(state.step) == 1 and len(losses) == 1 and math.isfinite(losses[0])


def test_texts_in_a_folder_of_their_own(tmp_path):
    folder = written(tmp_path, 'videos', {})
    (folder / 'labels').mkdir()
    for name, text in BESIDE.items():
        (folder / 'labels' / name).write_text(text)
    assert find(str(folder)).table['caption'].to_pylist() == CAPTIONS


def test_rows_of_one_clip_are_its_several_captions(tmp_path):
    folder = written(tmp_path, '', {'metadata.csv': 'file_name,text\n0.mp4,one\n1.mp4,x\n0.mp4,two\n'})
    for spec in (folder, folder / 'metadata.csv'):
        table = find(str(spec)).table
        assert table['captions'].to_pylist()[:2] == [['one', 'two'], None] and table['caption'].to_pylist()[:2] == ['one', 'x']
    (folder / 'twice.csv').write_text('file_name,text\n0.mp4,one\n0.mp4,\n')
    with pytest.raises(UserError, match='listed 2 times'):
        find(str(folder / 'twice.csv'))


@pytest.mark.parametrize('text', ["[[datasets]]\nvideo_directory = '/a'\n[[datasets]]\nvideo_jsonl_file = '/b.jsonl'\n",
                                  "[[directory]]\npath = '/a'\n[[directory]]\npath = '/b.jsonl'\n"])
def test_another_trainers_list_of_folders_says_what_to_name(tmp_path, text):
    (tmp_path / 'dataset.toml').write_text(text)
    with pytest.raises(UserError, match=r'--clips=part0=/a,part1=/b\.jsonl'):
        find(str(tmp_path / 'dataset.toml'), '--clips')


def test_paths_from_the_working_directory_are_found_where_the_table_has_none(tmp_path, monkeypatch):
    folder = written(tmp_path / 'data', '', {'m.jsonl': json_lines(rows('video_path', 'caption', 'data/'))})
    monkeypatch.chdir(tmp_path)
    for name in ('data/m.jsonl', str(folder / 'm.jsonl')):
        found = find(name)
        assert found.table['clip'].to_pylist() == [f'data/{name}' for name in CLIPS]
        assert any('seen from the working directory' in line for line in found.lines)
