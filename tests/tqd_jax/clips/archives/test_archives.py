"""Clips in zip and tar archives: found, copied out and stamped without unpacking, whatever the archive is like."""
import io
import os
import pathlib
import shutil
import subprocess
import tarfile
import zipfile

import fsspec
import numpy as np
import pytest
import videos

from tqd_jax.clips import places
from tqd_jax.clips.archives.index import index_of
from tqd_jax.clips.archives.inside import texts_by_archive
from tqd_jax.clips.display import probe
from tqd_jax.clips.manifest import find, left_out, read_clips
from tqd_jax.clips.read import read_clip
from tqd_jax.scoring.row import measured_row
from transfer_jax.runtime.errors import UserError

FILES = {'a/0001.mp4': b'first', 'a/0001.txt': b'a red disc', 'a/0001.json': b'{"caption": "no", "n": 1}', '0002.mkv': b'second' * 1000,
         '0002.json': b'{"caption": " a blue disc "}', 'notes.md': b'x', 'a/.hidden.mp4': b'y', '__MACOSX/a/._0001.mp4': b'z'}


def write_tar(path, files, **options):
    with tarfile.open(path, 'w', **options) as out:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            out.addfile(info, io.BytesIO(data))
    return str(path)


def write_zip(path, files, method=zipfile.ZIP_STORED):
    with zipfile.ZipFile(path, 'w', method) as out:
        for name, data in files.items():
            out.writestr(name, data)
    return str(path)


def caption_of(url):
    return read_clips(url)['caption'][0].as_py()


def content(url):
    with places.local_copy(url, 2**20) as local, open(local, 'rb') as file:
        return file.read()


METHODS = [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA]


@pytest.mark.parametrize('make', [lambda path, method=method: ('zip', write_zip(path / 'x.zip', FILES, method)) for method in METHODS] + [
    lambda path: ('tar', write_tar(path / 'x.tar', FILES, format=tarfile.PAX_FORMAT)),
    lambda path: ('tar', write_tar(path / 'x.tar', FILES, format=tarfile.GNU_FORMAT)),
    lambda path: ('tar', write_tar(path / 'x.tar', FILES, format=tarfile.USTAR_FORMAT))])
def test_members_are_clips_with_their_captions(tmp_path, make):
    kind, path = make(tmp_path)
    urls = [f'{kind}://{name}::{path}' for name in ('0002.mkv', 'a/0001.mp4')]
    for place in (path, f'{kind}://::{path}', str(tmp_path)):
        table, (_, others) = read_clips(place), places.find_clips(place)
        assert table['clip'].to_pylist() == urls and table['caption'].to_pylist() == ['a blue disc', 'a red disc']
        assert others.pop('.md') == 1 and list(others.values()) == [2] and 'hidden' in str(others)
    assert [content(url) for url in urls] == [FILES['0002.mkv'], FILES['a/0001.mp4']]
    assert places.find_clips(f'{kind}://a::{path}')[0] == urls[1:]
    (names, texts, read), = texts_by_archive(urls)
    assert (names, texts.to_pylist()) == (['0002.mkv', 'a/0001.mp4'], ['0002.json', 'a/0001.json', 'a/0001.txt'])
    assert read(['a/0001.txt', '0002.json']) == [FILES['a/0001.txt'], FILES['0002.json']]
    with pytest.raises(places.BadClip, match='more than 5 bytes'), places.local_copy(urls[0], 5):
        pass
    for gone in (f'{kind}://gone.mp4::{path}', f'{kind}://a.mp4::{path}.gone.{kind}'):
        with pytest.raises(places.BadClip), places.local_copy(gone, 99):
            pass


def test_a_stamp_is_that_of_the_bytes(tmp_path):
    for path in (write_tar(tmp_path / 'x.tar', FILES), write_zip(tmp_path / 'x.zip', FILES)):
        urls = places.find_clips(path)[0]
        stamps = [places.stamp(url) for url in urls]
        index_of.cache_clear()
        assert [places.stamp(url) for url in urls] == stamps and len({*stamps, ''}) == 3
        os.utime(path, ns=(1, 1))
        assert not {*stamps} & {places.stamp(url) for url in urls}
    assert places.stamp(f'tar://a.mp4::{tmp_path}/gone.tar') == ''


def test_the_index_is_read_once_and_shared(tmp_path, monkeypatch):
    url = places.find_clips(write_tar(tmp_path / 'x.tar', FILES))[0][0]
    index_of.cache_clear()  # as in another process
    monkeypatch.setattr(tarfile, 'TarFile', None)
    assert content(url) == FILES['0002.mkv']


def test_a_member_is_read_at_its_place_and_no_other_byte(memory_system):
    """Of an archive elsewhere only the ranges of the headers, once, and of the members are fetched."""
    files = {f'{k}.mp4': bytes([k]) * 1_000_000 for k in range(8)}
    whole = io.BytesIO()
    with tarfile.open(fileobj=whole, mode='w') as out:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            out.addfile(info, io.BytesIO(data))
    memory_system.pipe_file('/shards/x.tar', whole.getvalue())
    fetched = memory_system.fetched
    clips, others = places.find_clips('counted://shards')
    assert clips == [f'tar://{name}::counted://shards/x.tar' for name in files] and not others
    assert sum(fetched) < 1_000_000, 'the headers alone'
    fetched.clear()
    assert content(clips[3]) == files['3.mp4'] and sum(fetched) == 1_000_000


class Counted(fsspec.get_filesystem_class('memory')):
    """A file system in memory that counts the bytes that leave it, by range."""
    protocol, store, pseudo_dirs, fetched = 'counted', {}, [''], []

    def cat_file(self, path, start=None, end=None, **options):
        data = super().cat_file(path, start=start, end=end, **options)
        self.fetched.append(len(data))
        return data

    def _open(self, path, mode='rb', block_size=None, **options):
        if mode == 'rb':
            return fsspec.spec.AbstractBufferedFile(self, path, mode, block_size, size=self.size(path), cache_type='readahead')
        return super()._open(path, mode, **options)

    @classmethod
    def _strip_protocol(cls, path):
        return super()._strip_protocol(path.replace('counted://', 'memory://'))


@pytest.fixture
def memory_system(monkeypatch):
    def fetch_range(file, start, end):
        data = file.fs.store[file.path].getvalue()[start:end]
        Counted.fetched.append(len(data))
        return data

    monkeypatch.setattr(fsspec.spec.AbstractBufferedFile, '_fetch_range', fetch_range, raising=False)
    fsspec.register_implementation('counted', Counted, clobber=True)
    Counted.store.clear()
    Counted.fetched.clear()
    return fsspec.filesystem('counted')


def test_damage_is_counted_and_the_rest_is_read(tmp_path):
    files = {f'{k}.mp4': bytes([k]) * 2000 for k in range(4)}
    whole = (tmp_path / 'whole').with_suffix('.tar')
    data = pathlib.Path(write_tar(whole, files)).read_bytes()
    whole.unlink()
    (tmp_path / 'cut.tar').write_bytes(data[:7000])
    broken = bytearray(data)
    broken[2 * 2560:2 * 2560 + 512] = bytes(range(256)) * 2  # the third header
    (tmp_path / 'header.tar').write_bytes(broken)
    (tmp_path / 'two.tar').write_bytes(data + data)
    (tmp_path / 'none.tar').write_bytes(b'no tar' * 1000)
    (tmp_path / 'empty.tar').write_bytes(b'')
    (tmp_path / 'packed.tar').write_bytes(b'\x1f\x8b' + bytes(600))
    (tmp_path / 'cut.zip').write_bytes(pathlib.Path(write_zip(tmp_path / 'w', files)).read_bytes()[:-30])
    (tmp_path / 'x.tar.gz').write_bytes(b'\x1f\x8b')
    clips, others = places.find_clips(str(tmp_path))
    names = [url.partition('::')[0] for url in clips]
    assert names == [f'tar://{k}.mp4' for k in (0, 1, 2, 0, 1, 0, 1, 2, 3)]
    said = '\n'.join(left_out(others))
    for word in ('cut off or damaged', 'before a damaged header', 'no tar file', 'an empty file', 'compressed as a whole by gzip',
                 'no zip file', '.gz (no member'):
        assert word in said
    with pytest.raises(places.BadClip, match='truncated: the archive ends'), places.local_copy(clips[2], 9999):
        pass
    for name in ('none.tar', 'empty.tar', 'packed.tar', 'cut.zip', 'gone.tar'):
        with pytest.raises(UserError, match='cannot be listed'):
            read_clips(str(tmp_path / name))


def test_damaged_bytes_of_a_member_are_its_reason(tmp_path):
    path = write_zip(tmp_path / 'x.zip', {'a.mp4': np.random.default_rng(1).bytes(9000), 'b.mp4': bytes(9000)}, zipfile.ZIP_DEFLATED)
    data = bytearray(pathlib.Path(path).read_bytes())
    data[500] ^= 255
    pathlib.Path(path).write_bytes(data)
    with pytest.raises(places.BadClip, match='damaged'), places.local_copy(f'zip://a.mp4::{path}', 10_000):
        pass
    assert content(f'zip://b.mp4::{path}') == bytes(9000)


def test_names_of_every_kind(tmp_path):
    long = 'n' * 300 + '.mp4'
    files = {'./a.mp4': b'1', '/abs/b.mp4': b'2', '../c.mp4': b'3', 'd/../../e.mp4': b'4', 'x::y.mp4': b'5', 'ü日本.mp4': b'6', long: b'7',
             'a.mp4': b'8', 'caf\udce9.mp4': b'9', 'sp ace#1?[x].MP4': b'10'}
    path = write_tar(tmp_path / 'x.tar', files, format=tarfile.GNU_FORMAT, encoding='utf-8', errors='surrogateescape')
    clips, others = places.find_clips(path)
    found = {url[6:].partition('::')[0]: content(url) for url in clips}
    assert found == {'a.mp4': b'8', 'abs/b.mp4': b'2', 'ü日本.mp4': b'6', long: b'7', 'café.mp4': b'9', 'sp ace#1?[x].MP4': b'10'}
    assert sorted(others.values()) == [1, 3] and all(any(word in kind for kind in others) for word in ('../c.mp4', 'later one'))


def test_names_of_a_zip_without_the_mark_of_utf8(tmp_path):
    path = write_zip(tmp_path / 'x.zip', {'\u00fc\u65e5.mp4': b'1'})
    data = bytearray(pathlib.Path(path).read_bytes())
    for mark, place in ((b'PK\3\4', 6), (b'PK\1\2', 8)):
        data[data.index(mark) + place + 1] &= ~8
    pathlib.Path(path).write_bytes(data)
    assert places.find_clips(path)[0] == [f'zip://\u00fc\u65e5.mp4::{path}'] and content(places.find_clips(path)[0][0]) == b'1'


def test_links_lead_to_members_and_encrypted_and_sparse_ones_are_counted(tmp_path):
    with tarfile.open(tmp_path / 'x.tar', 'w') as out:
        for name, kind, target in (('d/a.mp4', tarfile.REGTYPE, ''), ('hard.mp4', tarfile.LNKTYPE, 'd/a.mp4'),
                                   ('d/soft.mp4', tarfile.SYMTYPE, 'a.mp4'), ('lost.mp4', tarfile.SYMTYPE, 'gone.mp4'),
                                   ('pipe.mp4', tarfile.FIFOTYPE, '')):
            info = tarfile.TarInfo(name)
            info.type, info.linkname, info.size = kind, target, 5 if not target and kind == tarfile.REGTYPE else 0
            out.addfile(info, io.BytesIO(b'bytes'))
    clips, others = places.find_clips(str(tmp_path / 'x.tar'))
    assert [content(url) for url in clips] == [b'bytes'] * 3 and list(others.values()) == [1]
    path = write_zip(tmp_path / 'x.zip', {'a.mp4': b'1', 'b.mp4': b'2'})
    data = bytearray(pathlib.Path(path).read_bytes())
    data[data.index(b'PK\1\2') + 8] |= 1
    pathlib.Path(path).write_bytes(data)
    clips, others = places.find_clips(path)
    assert len(clips) == 1 and list(others) == [f'encrypted members (the first: zip://a.mp4::{path})']


def test_webdataset_names_have_a_key_up_to_the_first_dot(tmp_path):
    files = {'7.video.mp4': b'', '7.txt': b'seven', '7.5.txt': b'no', 'my.v1.mp4': b'', 'my.v1.txt': b'one', 'my.v2.mp4': b'',
             'my.v2.txt': b'two', '8.mp4': b'', '8.json': b'{broken', '9.mp4': b'', '9.caption': b'\xef\xbb\xbfnine\n'}
    path = write_tar(tmp_path / 'x.tar', files)
    clips, others = places.find_clips(path)
    captions = {url[6:].partition('::')[0]: caption_of(url) for url in clips}
    assert captions == {'7.video.mp4': 'seven', 'my.v1.mp4': 'one', 'my.v2.mp4': 'two', '8.mp4': '', '9.mp4': 'nine'} and not others


def test_patterns_of_shards(tmp_path, monkeypatch):
    for k in range(12):
        write_tar(tmp_path / f's-{k:06d}.tar', {f'{k}.mp4': b''})
    write_zip(tmp_path / 't.zip', {'z.mp4': b''})
    names = lambda place: [url.partition('::')[0].partition('://')[2] for url in places.find_clips(place)[0]]
    assert names(f'{tmp_path}/s-{{000002..000004}}.tar') == ['2.mp4', '3.mp4', '4.mp4']
    assert names(f'{tmp_path}/{{s-000001.tar,t.zip}}') == ['1.mp4', 'z.mp4']
    assert names(f'{tmp_path}/s-00000*.tar') == [f'{k}.mp4' for k in range(10)]
    clips, others = places.find_clips(f'{tmp_path}/s-{{000010..000013}}.tar')
    assert len(clips) == 2 and sum(others.values()) == 2 and 's-000012.tar' in str(others)
    monkeypatch.chdir(tmp_path)
    assert places.find_clips('s-000001.tar')[0] == [f'tar://1.mp4::{tmp_path}/s-000001.tar']
    assert len(read_clips('one=s-{000000..000003}.tar,two=t.zip')) == 5
    with pytest.raises(UserError, match='more than'):
        places.find_clips('s-{0..99999999}.tar')


def test_an_archive_in_an_archive(tmp_path):
    inner = pathlib.Path(write_zip(tmp_path / 'inner', {'a.mp4': b'deep'})).read_bytes()
    path = write_zip(tmp_path / 'outer.zip', {'inner.zip': inner})
    clips, _ = places.find_clips(f'zip://::zip://inner.zip::{path}')
    assert [content(url) for url in clips] == [b'deep'] and places.stamp(clips[0]) == places.stamp(clips[0]) != ''
    assert places.find_clips(str(tmp_path))[1]['.zip'] == 1, 'not looked into, and counted'


def test_a_manifest_sees_archives_from_its_folder(tmp_path, monkeypatch):
    (tmp_path / 'data').mkdir()
    write_tar(tmp_path / 'data/x.tar', FILES)
    (tmp_path / 'data/clips.csv').write_text('clip,caption\ntar://a/0001.mp4::x.tar,one\n')
    assert read_clips(f'{tmp_path}/data/clips.csv')['clip'].to_pylist() == [f'tar://a/0001.mp4::{tmp_path}/data/x.tar']
    monkeypatch.chdir(tmp_path)
    seen = places.seen_from('out', 'tar://a/0001.mp4::data/x.tar')
    assert seen == 'tar://a/0001.mp4::../data/x.tar' and content(places.join('out', seen)) == b'first'


def test_large_and_streamed_and_prefixed_zips(tmp_path):
    """With sizes of 64 bits, with sizes behind the bytes, and behind a program that unpacks it."""
    class Pipe(io.RawIOBase):
        def __init__(self):
            super().__init__()
            self.parts = []

        def writable(self):
            return True

        def write(self, data):
            self.parts.append(bytes(data))
            return len(data)

    pipe = Pipe()
    for name, file in (('large.zip', str(tmp_path / 'large.zip')), ('streamed.zip', pipe)):
        with zipfile.ZipFile(file, 'w', zipfile.ZIP_DEFLATED) as out, out.open('a.mp4', 'w', force_zip64=name == 'large.zip') as member:
            member.write(b'bytes' * 1000)
    (tmp_path / 'streamed.zip').write_bytes(b''.join(pipe.parts))
    (tmp_path / 'prefixed.zip').write_bytes(b'#!/bin/sh\n' * 50 + b''.join(pipe.parts))
    clips, others = places.find_clips(str(tmp_path))
    assert [content(url) for url in clips] == [b'bytes' * 1000] * 3 and not others


def test_a_sparse_member_is_counted(tmp_path):
    tar = shutil.which('tar')
    if tar is None or 'GNU' not in subprocess.run([tar, '--version'], capture_output=True, text=True).stdout:
        pytest.skip('GNU tar alone writes sparse members')
    with open(tmp_path / 'holes.mp4', 'wb') as file:
        file.truncate(1 << 22)
        file.write(b'start')
    (tmp_path / 'whole.mp4').write_bytes(b'whole')
    for form in ('gnu', 'pax'):
        options = ['-S', f'--format={form}', '-cf', f'{tmp_path}/{form}.tar', '-C', str(tmp_path)]
        subprocess.run([tar, *options, 'holes.mp4', 'whole.mp4'], check=True)
        clips, others = places.find_clips(f'{tmp_path}/{form}.tar')
        assert [content(url) for url in clips] == [b'whole'] and list(others.values()) == [1] and 'sparse' in str(others)


def test_an_archive_whose_name_is_not_utf8(tmp_path):
    path = os.path.join(tmp_path, os.fsdecode(b'caf\xe9.tar'))
    write_tar(path, FILES)
    clips, _ = places.find_clips(str(tmp_path))
    assert clips == [f'tar://{name}::file://{tmp_path}/caf%E9.tar' for name in ('0002.mkv', 'a/0001.mp4')]
    assert content(clips[1]) == b'first' and places.stamp(clips[1]) and caption_of(clips[1]) == 'a red disc'
    assert read_clips(places.as_text(path))['clip'].to_pylist() == clips


def test_frames_of_a_member_are_those_of_the_file(tmp_path):
    """As training reads them, and as scoring measures them."""
    file = str(tmp_path / 'a.mp4')
    videos.encode(file, videos.levels(30), rate=10)
    data = pathlib.Path(file).read_bytes()
    for kind, path in (('tar', write_tar(tmp_path / 'x.tar', {'a.mp4': data})), ('zip', write_zip(tmp_path / 'x.zip', {'a.mp4': data}))):
        url = f'{kind}://a.mp4::{path}'
        assert probe(url) == probe(file) and measured_row(url) == measured_row(file)
        for start in (0.0, 2.5):
            one, other = (read_clip(path, rate=10, start=start, seconds=0.5).frames for path in (url, file))
            assert (one == other).all()


def test_a_long_caption_of_a_member_is_read(tmp_path):
    long = 'a red disc moves ' * 6000
    with zipfile.ZipFile(tmp_path / 'part.zip', 'w', zipfile.ZIP_DEFLATED) as packed:
        for name, data in {'a.mp4': b'', 'a.txt': long, 'b.mp4': b'', 'b.txt': 'short'}.items():
            packed.writestr(name, data)
    assert find(str(tmp_path / 'part.zip')).table['caption'].to_pylist() == [long.strip(), 'short']


def test_a_table_in_an_archive_has_the_captions_of_its_clips(tmp_path):
    with zipfile.ZipFile(tmp_path / 'part.zip', 'w') as packed:
        table = 'file_name,text\na.mp4,A\ngone.mp4,x\n'
        for name, data in {'k/a.mp4': b'', 'k/b.mp4': b'', 'k/metadata.csv': table, 'k/b.txt': 'B'}.items():
            packed.writestr(name, data)
    found = find(str(tmp_path))
    assert found.table['caption'].to_pylist() == ['A', 'B'] and not found.others
    assert any('1 of 2 rows of zip://k/metadata.csv' in line for line in found.lines)
