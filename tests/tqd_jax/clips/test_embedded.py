"""Videos within rows of a Parquet file are clips like any other: read, of the same content as the files that they were."""
import pathlib

import fsspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest
import small

from tqd_jax.clips import places
from tqd_jax.clips.content import content_id
from tqd_jax.clips.manifest import find, read_clips
from tqd_jax.clips.read import read_clip
from transfer_jax.runtime.errors import UserError

NAMES = ['0.mp4', '1.mp4', '2.mp4']


@pytest.fixture(scope='module')
def files(tmp_path_factory):
    """Three small videos."""
    return [path.read_bytes() for path in sorted(small.moving(tmp_path_factory.mktemp('embedded'), NAMES).iterdir())]


def shard(path, files, struct=True, rows=2, **columns):
    """Writes a Parquet file with a row a video, `rows` of them in a group."""
    video = [{'bytes': data, 'path': name} for data, name in zip(files, NAMES, strict=True)] if struct else files
    path.parent.mkdir(parents=True, exist_ok=True)
    pa.parquet.write_table(pa.table({'video': video, 'caption': ['one', 'two', 'three']} | columns), path, row_group_size=rows)
    return str(path)


@pytest.mark.parametrize('struct', [True, False])
@pytest.mark.parametrize('rows', [1, 2, 3])
def test_the_bytes_of_each_row_are_a_clip(tmp_path, files, struct, rows):
    table = read_clips(shard(tmp_path / 'a b' / 'm.parquet', files, struct, rows))
    assert table['caption'].to_pylist() == ['one', 'two', 'three'] and 'video' not in table.column_names
    for clip, data in zip(table['clip'].to_pylist(), files, strict=True):
        assert places.is_remote(clip) and places.ending(clip) == '.mp4'
        with places.local_copy(clip, 2**20) as local:
            assert pathlib.Path(local).read_bytes() == data and len(content_id(local)) == 32
    (tmp_path / 'x.mp4').write_bytes(files[1])
    np.testing.assert_array_equal(read_clip(table['clip'][1].as_py(), rate=8).frames, read_clip(tmp_path / 'x.mp4', rate=8).frames)


def test_its_stamp_is_that_of_the_file_and_the_row(tmp_path, files):
    path = shard(tmp_path / 'm.parquet', files)
    one, two, _ = read_clips(path)['clip'].to_pylist()
    assert places.stamp(one) == places.stamp(one) != places.stamp(two)
    before = places.stamp(one)
    shard(tmp_path / 'm.parquet', files[::-1] + [], more=[1, 2, 3])
    assert places.stamp(one) != before and places.stamp(one)


def test_a_shard_at_a_url(tmp_path, files):
    local = shard(tmp_path / 'm.parquet', files)
    fsspec.filesystem('memory').pipe_file('/shards/m.parquet', pathlib.Path(local).read_bytes())
    clip = read_clips('memory://shards/m.parquet')['clip'][2].as_py()
    assert clip == 'row://video/2/2.mp4::memory://shards/m.parquet'
    with places.local_copy(clip, 2**20) as copy:
        assert pathlib.Path(copy).read_bytes() == files[2]


def test_structs_of_paths_are_paths_and_rows_may_be_of_both(tmp_path, files):
    path = tmp_path / 'm.parquet'
    pa.parquet.write_table(pa.table({'clip': pa.array([{'bytes': None, 'path': 'a.mp4'}, {'bytes': files[0], 'path': None}],
                                                      pa.struct([('bytes', pa.binary()), ('path', pa.string())]))}), path)
    assert read_clips(str(path))['clip'].to_pylist() == [f'{tmp_path}/a.mp4', f'row://clip/1/video.mp4::{path}']
    pa.parquet.write_table(pa.table({'clip': [{'width': 3}]}), path)
    with pytest.raises(UserError, match='neither paths nor the bytes') as caught:
        read_clips(str(path))
    assert len(str(caught.value)) < 400


def test_a_folder_of_shards_is_a_library(tmp_path, files):
    for number in (0, 1):
        shard(tmp_path / f'data/train-0000{number}-of-00002.parquet', files)
    (tmp_path / 'README.md').touch()
    found = find(str(tmp_path))
    assert len(found.table) == 6 and found.table['caption'].to_pylist() == ['one', 'two', 'three'] * 2
    assert set(found.table['source'].to_pylist()) == {'clips'}


def test_bytes_that_nobody_reads_are_left_out(tmp_path, files):
    path = tmp_path / 'm.parquet'
    pa.parquet.write_table(pa.table({'clip': ['a.mp4'], 'thumbnail': [b'\x00\xff'], 'more': [{'bytes': b'\xff', 'path': 'x'}]}), path)
    assert read_clips(str(path)).column_names == ['clip', 'caption', 'source']


def test_a_row_without_a_video_is_a_reason(tmp_path, files):
    path = shard(tmp_path / 'm.parquet', files)
    with pytest.raises(places.BadClip, match='cannot be fetched'), places.local_copy(f'row://video/7/x.mp4::{path}', 2**20):
        pass


def test_captions_of_webdataset_in_parquet_are_in_its_json(tmp_path, files):
    rows = pa.table({'mp4': files, 'json': [{'caption': 'one', 'fps': 8}, {'caption': None, 'fps': 8}, None]})
    pa.parquet.write_table(rows, tmp_path / 'm.parquet')
    found = find(str(tmp_path / 'm.parquet'))
    assert found.table['caption'].to_pylist() == ['one', '', ''] and found.origins == {f"{tmp_path}/m.parquet, column 'json'": 1}


def test_a_column_that_says_that_it_is_bytes(tmp_path, files):
    pa.parquet.write_table(pa.table({'video_bytes': files, 'prompt': ['a', 'b', 'c']}), tmp_path / 'm.parquet')
    table = read_clips(str(tmp_path / 'm.parquet'))
    assert table['caption'].to_pylist() == ['a', 'b', 'c'] and table['clip'][2].as_py().startswith('row://video_bytes/2/')
