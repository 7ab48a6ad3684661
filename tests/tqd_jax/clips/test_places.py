"""Where clips are: folders with links, names of every kind, and places behind a URL, as fsspec's own memory and zip files."""
import json
import os
import zipfile

import fsspec
import pytest

from tqd_jax.clips import places
from transfer_jax.runtime.errors import UserError

ODD = os.fsdecode(b'\xff\xfe caf\xe9.mp4')
NAMES = ['plain.mp4', 'a b, c=d & 100%25 #1?[x]*.mp4', 'ü日本🎬.mkv', ODD]


@pytest.fixture
def memory():
    """fsspec's file system in memory, emptied."""
    system = fsspec.filesystem('memory')
    system.store.clear()
    yield system
    system.store.clear()


def filled(folder, *names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    return str(folder)


def under(folder):
    return [os.path.relpath(places.as_local(path), folder) for path in places.find_clips(str(folder))[0]]


def test_every_usual_ending_in_any_case_and_what_else_is_there(tmp_path):
    videos = [f'{i}{(ending, ending.upper())[i % 2]}' for i, ending in enumerate(places.ENDINGS)]
    filled(tmp_path, *videos, 'a/notes.txt', 'b.TXT', 'README', '.hidden.mp4', '.hidden/c.mp4', '.hidden/d.txt')
    assert under(tmp_path) == sorted(videos)
    assert places.find_clips(str(tmp_path))[1] == {'.txt': 2, '': 1}


def test_links_are_followed_once_and_loops_end(tmp_path):
    data = tmp_path / 'data'
    filled(tmp_path, 'data/real/x.mp4', 'elsewhere/y.mp4')
    (data / 'a').symlink_to(data / 'real')  # comes first, but it is the folder itself whose name stays
    (data / 'real/up').symlink_to(data)
    (data / 'b').symlink_to(tmp_path / 'elsewhere')
    (data / 'c').symlink_to(tmp_path / 'elsewhere')
    (tmp_path / 'elsewhere/back').symlink_to(data)
    (data / 'loop.mp4').symlink_to('loop.mp4')
    (data / 'nowhere.mp4').symlink_to('gone')
    assert under(data) == ['b/y.mp4', 'loop.mp4', 'nowhere.mp4', 'real/x.mp4']


def test_a_folder_that_cannot_be_read_is_counted(tmp_path, monkeypatch):
    filled(tmp_path, 'a/x.mp4', 'lost+found/y.mp4')
    scan = os.scandir

    def refuse(path):
        if path.endswith('lost+found'):
            raise PermissionError(13, 'Permission denied', path)
        return scan(path)

    monkeypatch.setattr(os, 'scandir', refuse)  # root may read all
    paths, others = places.find_clips(str(tmp_path))
    assert len(paths) == 1 and others == {places.LOCKED: 1}


@pytest.mark.parametrize('name', NAMES, ids=ascii)
def test_a_name_is_text_and_comes_back(tmp_path, name):
    path = os.path.join(filled(tmp_path, name), name)
    text = places.as_text(path)
    json.dumps(text, ensure_ascii=False).encode()
    assert places.as_local(text) == path and (text == path) == (name != ODD)
    assert places.find_clips(str(tmp_path))[0] == [text] and places.as_text(text) == text
    with places.local_copy(text, 1) as local:
        assert local == path
    assert places.ending(text) == places.ending(name) and places.as_local(places.parent(text)) == str(tmp_path)


def test_what_is_remote():
    assert all(map(places.is_remote, ['gs://b/x', 's3://b', 'https://h/x?y=z', 'zip://a.mp4::f.zip', 'simplecache::s3://b/x', 'memory://x']))
    assert not any(map(places.is_remote, ['a.mp4', '/x/a b', 'a::b', 'C:/x', './http://x', 'file:///x/a.mp4', 'web=gs://b', '']))


@pytest.mark.parametrize(('base', 'name', 'expected'), [
    ('/data', 'a.mp4', '/data/a.mp4'), ('data', './b/c.mp4', 'data/b/c.mp4'), ('/data', '/x/a.mp4', '/x/a.mp4'),
    ('/data', 'gs://b/a.mp4', 'gs://b/a.mp4'), ('file:///d%20e', 'a%20.mp4', '/d e/a%20.mp4'), ('', 'a.mp4', 'a.mp4'),
    ('gs://b', 'a.mp4', 'gs://b/a.mp4'), ('gs://b/d/', '../c/./a.mp4', 'gs://b/c/a.mp4'), ('gs://b/d', 'file:///a.mp4', 'file:///a.mp4'),
    ('zip://::f.zip', 'a.mp4', 'zip://a.mp4::f.zip'), ('zip://d::s3://b/f.zip', 'a.mp4', 'zip://d/a.mp4::s3://b/f.zip'),
    ('/data', 'tar://a.mp4::x.tar', 'tar://a.mp4::/data/x.tar'), ('gs://b/d', 'zip://a/b.mp4::../x.zip', 'zip://a/b.mp4::gs://b/x.zip'),
    ('/data', 'tar://a.mp4::/x.tar', 'tar://a.mp4::/x.tar'), ('/data', 'tar://a.mp4::s3://b/x.tar', 'tar://a.mp4::s3://b/x.tar'),
    ('simplecache::s3://b/d', 'a.mp4', 'simplecache::s3://b/d/a.mp4'), ('https://h/d', 'a.mp4', 'https://h/d/a.mp4')])
def test_names_are_seen_from_their_folder(base, name, expected):
    assert places.join(base, name) == expected


def test_seen_from_a_folder_behind_a_link_it_is_the_same_file(tmp_path, monkeypatch):
    filled(tmp_path, 'vids/a.mp4', 'elsewhere/deep/x', 'real/b.mp4')
    monkeypatch.chdir(tmp_path)
    (tmp_path / 'out').symlink_to('elsewhere/deep')
    (tmp_path / 'link').symlink_to('real')
    for folder in ('out', 'vids', '', 'link'):
        for path in ('vids/a.mp4', 'link/b.mp4', 'out/../../vids/a.mp4'):
            assert os.path.samefile(places.join(folder, places.seen_from(folder, path)), path)
    assert places.seen_from('', 'link/b.mp4') == 'link/b.mp4', 'names below the folder stay as they are'


def test_seen_from_elsewhere_a_local_path_is_absolute(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert places.seen_from('gs://b/d', 'vids/a.mp4') == f'{tmp_path}/vids/a.mp4'
    assert [places.seen_from('gs://b', path) for path in ('gs://b/a.mp4', '/x/a.mp4')] == ['gs://b/a.mp4', '/x/a.mp4']


def test_a_name_in_a_home_folder_is_there_and_a_folder_called_so_is_below(tmp_path, monkeypatch):
    monkeypatch.setenv('HOME', str(tmp_path))
    monkeypatch.chdir(tmp_path)
    assert places.join('/data', '~/a.mp4') == places.join('/data', '$HOME/a.mp4') == f'{tmp_path}/a.mp4'
    assert places.join('gs://b/d', '~/a.mp4') == 'gs://b/d/~/a.mp4' and places.join('/data', './~/a.mp4') == '/data/~/a.mp4'
    assert places.join('', places.seen_from('', '~/a.mp4')) == '~/a.mp4'


def test_folders_and_endings_of_urls():
    assert places.parent('https://h/d/m.csv?token=a/b') == 'https://h/d' and places.ending('https://h/d/m.CSV?token=a.b') == '.csv'
    assert places.parent('zip://d/m.csv::f.zip') == 'zip://d::f.zip' and places.ending('zip://a.mp4::f.zip') == '.mp4'
    assert places.parent('a.csv') == '' and places.parent('gs://b/m.csv') == 'gs://b' and places.ending('gs://b.mp4/d') == ''


def test_remote_folders(memory):
    for name in (*NAMES[:3], 'sub/b.GIF', 'notes.txt', '.hidden/c.mp4', 'sub/.d.mp4'):
        memory.pipe_file(f'/lib/{name}', b'frames')
    memory.pipe_file('/library/e.mp4', b'')
    paths, others = places.find_clips('memory://lib/')
    assert paths == sorted(f'memory://lib/{name}' for name in (*NAMES[:3], 'sub/b.GIF')) and others == {'.txt': 1}
    for path in paths:
        with places.local_copy(path, 100) as local, open(local, 'rb') as file:
            assert file.read() == b'frames' and local.endswith(places.ending(path))
        assert not os.path.exists(local)


def test_clips_in_a_zip_file(tmp_path):
    with zipfile.ZipFile(tmp_path / 'f.zip', 'w') as packed:
        for name in ('a.mp4', 'd/b.mp4', 'd/.c.mp4'):
            packed.writestr(name, name)
    found, _ = places.find_clips(f'zip://::{tmp_path}/f.zip')
    assert found == [f'zip://a.mp4::{tmp_path}/f.zip', f'zip://d/b.mp4::{tmp_path}/f.zip']
    with places.local_copy(found[1], 100) as local, open(local) as file:
        assert file.read() == 'd/b.mp4'


def test_what_cannot_be_fetched_has_a_reason(memory, tmp_path):
    memory.pipe_file('/big.mp4', bytes(3 * places.BLOCK))
    (tmp_path / 'bad.zip').write_bytes(b'no zip file')
    for path, limit, reason in (('memory://big.mp4', 3 * places.BLOCK - 1, 'more than 3145727 bytes'), ('memory://gone.mp4', 9, 'fetched'),
                                (f'zip://a.mp4::{tmp_path}/bad.zip', 9, 'not a zip file')):
        with pytest.raises(places.BadClip, match=reason) as error, places.local_copy(path, limit):
            pass
        assert '\n' not in str(error.value)
    with places.local_copy('memory://big.mp4', 3 * places.BLOCK) as local:
        assert os.path.getsize(local) == 3 * places.BLOCK


def test_a_missing_package_or_protocol_is_named(monkeypatch):
    def absent(name, **_):
        raise ImportError('Please install gcsfs to access Google Storage')

    with pytest.raises(UserError, match='xyz://a/b cannot be opened: Protocol not known: xyz'), places.local_copy('xyz://a/b', 9):
        pass
    monkeypatch.setattr(fsspec, 'get_filesystem_class', absent)
    with pytest.raises(UserError, match='gs://b cannot be opened: Please install gcsfs'):
        places.find_clips('gs://b')
    with pytest.raises(UserError, match='install gcsfs'):
        places.check_protocols(['/a.mp4', 'gs://b/a.mp4'])


def test_an_unreachable_folder_is_the_users_error(tmp_path):
    with pytest.raises(UserError, match='cannot be listed'):
        places.find_clips(f'zip://::{tmp_path}/gone.zip')
