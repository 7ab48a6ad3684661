"""Data sets in the layouts in which they are published, as docs/importing.md says: which clips, captions and scores are found."""
import io
import tarfile
import zipfile

import pytest

from tqd_jax.scoring.importers.clips import clips_table

OPENVID = 'video,caption,aesthetic score,motion score,temporal consistency score,camera motion,frame,fps,seconds\n{}'
KOALA = 'videoID,url,timestamp,caption,clarity_score,aesthetic_score,motion_score,video_training_suitability_score\n{}'


def openvid(folder, names):
    rows = ''.join(f'{name}.mp4,"caption of {name}, it moves",5.{k},{k}.5,0.99,static,100,25.0,4.0\n' for k, name in enumerate(names))
    (folder / 'OpenVid-1M.csv').write_text(OPENVID.format(rows))
    return [str(folder / 'OpenVid-1M.csv')]


def test_openvid_in_zips(tmp_path, capsys):
    """Two parts, one with a folder within; a clip without a row keeps null, and a row without a clip is no clip."""
    (tmp_path / 'parts').mkdir()
    for part, names in (('OpenVid_part0.zip', ['a', 'b']), ('OpenVid_part1.zip', ['video/c', 'video/x'])):
        with zipfile.ZipFile(tmp_path / 'parts' / part, 'w') as out:
            for name in names:
                out.writestr(f'{name}.mp4', name)
    table = clips_table(str(tmp_path / 'parts'), openvid(tmp_path, 'abcd'), None)
    names = [clip.partition('::')[0] for clip in table['clip'].to_pylist()]
    assert names == ['zip://a.mp4', 'zip://b.mp4', 'zip://video/c.mp4', 'zip://video/x.mp4']
    assert table['motion'].to_pylist() == [0.5, 1.5, 2.5, None] and table['visual'].to_pylist() == [5.0, 5.1, 5.2, None]
    assert table['caption'].to_pylist()[0] == 'caption of a, it moves' and '3 of 4 clips found' in capsys.readouterr().out


def test_openvid_unpacked_and_a_name_that_is_there_twice(tmp_path):
    for name in ('a', 'b'):
        (tmp_path / f'{name}.mp4').touch()
    assert clips_table(str(tmp_path), openvid(tmp_path, 'abc'), None)['motion'].to_pylist() == [0.5, 1.5]
    with zipfile.ZipFile(tmp_path / 'x.zip', 'w') as out:
        out.writestr('a.mp4', '')
    (tmp_path / 'twice.csv').write_text(OPENVID.format('1/a.mp4,x,1,1,1,s,1,1,1\n2/a.mp4,x,2,2,1,s,1,1,1\nb.mp4,x,3,3,1,s,1,1,1\n'))
    table = clips_table(str(tmp_path), [str(tmp_path / 'twice.csv')], None)
    assert dict(zip([clip[-5:] for clip in table['clip'].to_pylist()], table['motion'].to_pylist(), strict=True)) == {
        'a.mp4': None, 'b.mp4': 3.0, 'x.zip': None}, 'it is not guessed which of the two it is'


@pytest.mark.parametrize('form', ['webdataset', 'files'])
def test_panda_as_its_tool_writes_it(tmp_path, form):
    """Shards, or folders, of KEY.mp4, KEY.txt and KEY.json, and beside each a Parquet table of all its samples."""
    samples = {f'0000{shard}': [f'0000{shard}{k:04d}_{cut:05d}' for k in range(2) for cut in range(2)] for shard in range(2)}
    for shard, keys in samples.items():
        files = {f'{key}.{ending}': data for key in keys for ending, data in (
            ('mp4', b'video'), ('txt', f'caption of {key}'.encode()), ('json', b'{"status": "success", "caption": "other"}'))}
        (tmp_path / f'{shard}.parquet').write_bytes(b'PAR1')
        (tmp_path / f'{shard}_stats.json').write_text('{}')
        if form == 'files':
            (tmp_path / shard).mkdir()
            for name, data in files.items():
                (tmp_path / shard / name).write_bytes(data)
            continue
        with tarfile.open(tmp_path / f'{shard}.tar', 'w') as out:
            for name, data in files.items():
                info = tarfile.TarInfo(name)
                info.size = len(data)
                out.addfile(info, io.BytesIO(data))
    table = clips_table(str(tmp_path), [], None)
    assert len(table) == 8
    if form == 'webdataset':
        assert table['caption'].to_pylist() == [f'caption of {key}' for keys in samples.values() for key in keys]


def test_koala_that_is_cut(tmp_path):
    rows = ''.join(f'pv97fCP13SE_{k},https://www.youtube.com/watch?v=pv97fCP13SE,"[\'0:00:0{k}.000\', \'0:00:0{k + 1}.000\']",'
                   f'caption {k},0.{k + 1},4.{k},6.{k},3.5\n' for k in range(3))
    (tmp_path / 'Koala_36M_1.csv').write_text(KOALA.format(rows))
    (tmp_path / 'videos').mkdir()
    for k in (0, 2):
        (tmp_path / f'videos/pv97fCP13SE_{k}.mp4').touch()
    table = clips_table(str(tmp_path / 'videos'), [str(tmp_path / 'Koala_36M_1.csv')], None)
    assert table['caption'].to_pylist() == ['caption 0', 'caption 2'] and table['motion'].to_pylist() == [6.0, 6.2]
