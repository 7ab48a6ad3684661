"""Folders of images in their usual layouts, written by OpenCV: paths and classes, and images that are decoded once."""
import os
import shutil
import struct

import cv2
import numpy as np
import pytest
from sections import load

from transfer_jax.experiment.data import decode, images
from transfer_jax.experiment.data.decode import Decoding, decode_files
from transfer_jax.runtime.errors import UserError

CLASSES = ('Alarm_Clock', 'Bike')


def picture(seed, shape=(12, 10, 3)):
    """Smooth, so that JPEG keeps it nearly."""
    return cv2.resize(np.random.default_rng(seed).integers(0, 256, (3, 3, 3), dtype=np.uint8), shape[1::-1])


def write(path, image):
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), image)


def tree(root, between='', suffix='png', domains=('Art', 'Real World'), classes=CLASSES, each=3):
    """ROOT/DOMAIN/BETWEEN/CLASS/K.suffix with pictures of their own."""
    for number, domain in enumerate(domains):
        for kind, name in enumerate(classes):
            for k in range(each):
                write(root / domain / between / name / f'{k:05}.{suffix}', picture(100 * number + 10 * kind + k))
    return root


def small(image, channels=3):
    """What OpenCV makes of a 12 x 10 picture in 5 x 5, in RGB."""
    shrunk = cv2.resize(image, (5, 6), interpolation=cv2.INTER_AREA)[:5]
    return shrunk[..., ::-1] if channels == 3 else cv2.cvtColor(shrunk, cv2.COLOR_BGR2GRAY)[..., None]


def read(root, **keys):
    """The Domains with images of 5 x 5; the cache lies outside of the tree."""
    path = root if isinstance(root, str) else str(root)
    return load(path, **{'image_size': 5, 'channels': 3, 'cache': str(root).split(',')[0].rpartition('=')[2] + '-cache'} | keys)


@pytest.mark.parametrize(('between', 'suffix'), [('', 'png'), ('images', 'PNG'), ('train', 'bmp')])
def test_images_equal_those_that_opencv_reads(tmp_path, between, suffix):
    root = tree(tmp_path / 'data', between, suffix)
    (root / 'README.txt').write_text('')
    (root / 'Art' / '.DS_Store').write_text('')
    (root / 'Art' / between / 'Bike' / 'Thumbs.db').write_text('')
    domains = read(root)
    assert domains.names == ('Art', 'Real World') and domains.classes == CLASSES and domains.skipped == ()
    for number, domain in enumerate(domains.domains):
        assert domain.labels.tolist() == [0, 0, 0, 1, 1, 1] and domain.labels.dtype == np.int32
        expected = [small(picture(100 * number + 10 * kind + k)) for kind in (0, 1) for k in range(3)]
        assert np.array_equal(domain.inputs, expected) and isinstance(domain.inputs, np.memmap)


def test_train_and_test_folders_are_joined_and_domains_can_be_named(tmp_path):
    tree(tmp_path / 'data', 'train', domains=['a'])
    tree(tmp_path / 'data', 'val', domains=['a'], each=2)
    tree(tmp_path / 'more', domains=['x'])
    domains = read(f'first={tmp_path}/data/a, second={tmp_path}/more/x')
    assert domains.names == ('first', 'second') and [len(d) for d in domains.domains] == [10, 6]


def test_lists_beside_the_domains_select_files(tmp_path):
    root = tree(tmp_path / 'data', domains=['real', 'real_big'])
    (root / 'real_train.txt').write_text('real/Bike/00002.png 7\n\nreal/Alarm_Clock/00000.png 3\n')
    (root / 'real_test.txt').write_text('real/Bike/00001.png 7\n')
    (root / 'real_big_train.txt').write_text(''.join(f'real_big/{name}/00001.png {k}\n' for k, name in enumerate(CLASSES)))
    domains = read(root)
    assert domains['real'].labels.tolist() == [1, 1, 0]
    assert np.array_equal(domains['real'].inputs, [small(picture(seed)) for seed in (11, 12, 0)])
    assert len(domains['real_big']) == 2


def test_digits_with_files_of_labels(tmp_path):
    for part, count in (('train', 3), ('test', 2)):
        for k in range(count):
            write(tmp_path / 'data' / 'usps' / f'{part}_images' / f'{k}.png', picture(k))
        (tmp_path / 'data' / 'usps' / f'{part}_labels.txt').write_text(''.join(f'{k}.png {8 + k}\n' for k in range(count)))
    domains = read(tmp_path / 'data')
    assert domains.classes == ('8', '9', '10')  # numbers in their order
    assert sorted(domains['usps'].labels.tolist()) == [0, 0, 1, 1, 2]


def test_classes_that_differ_are_named_or_left_out_with_counts(tmp_path):
    root = tree(tmp_path / 'data', domains=['a', 'b', 'c'])
    shutil.move(root / 'b' / 'Bike', root / 'b' / 'Bkie')
    with pytest.raises(UserError) as error:
        read(root)
    assert "domain 'b' has no class 'Bike'" in str(error.value) and "domain 'b' has the class 'Bkie' that no other has" in str(error.value)
    common = read(root, classes='intersection')
    assert common.classes == ('Alarm_Clock',) and [len(d) for d in common.domains] == [3, 3, 3]
    assert [note['file'] for note in common.skipped] == ['a', 'b', 'c'] and "class 'Bkie' (3 examples)" in common.skipped[1]['reason']


def test_a_second_run_decodes_nothing_and_another_size_or_file_does(tmp_path, monkeypatch):
    root = tree(tmp_path / 'data')
    before = [np.array(domain.inputs) for domain in read(root).domains]
    read_files = []
    monkeypatch.setattr(decode, 'read_image', lambda path: read_files.append(path) or images.read_image(path))
    again = read(root, max_skipped_fraction=0.5)
    assert not read_files and all(np.array_equal(a, b.inputs) for a, b in zip(before, again.domains, strict=True))
    read(root, channels=1)
    assert len(read_files) == 12
    os.utime(root / 'Art' / 'Bike' / '00000.png', ns=(1, 1))
    read(root)
    assert len(read_files) == 18  # the domain of the touched file


def test_a_run_killed_half_way_leaves_nothing_that_passes_for_a_cache(tmp_path, monkeypatch):
    root = tree(tmp_path / 'data')
    write_bad = decode._check_threshold
    (root / 'Art' / 'Bike' / '00001.png').write_text('no image')
    def interrupt(*arguments):
        raise KeyboardInterrupt  # at the first bad file
    monkeypatch.setattr(decode, '_check_threshold', interrupt)
    with pytest.raises(KeyboardInterrupt):
        read(root)
    assert list((tmp_path / 'data-cache').iterdir()) == []
    monkeypatch.setattr(decode, '_check_threshold', write_bad)
    assert len(read(root, max_skipped_fraction=0.5)['Art']) == 5


def test_a_cache_without_its_record_is_made_again(tmp_path):
    paths = sorted((tree(tmp_path / 'data') / 'Art').rglob('*.png'))
    how = Decoding(size=5, channels=3, cache=tmp_path / 'cache')
    whole = np.array(decode_files('Art', paths, how)[0])
    record, = how.cache.glob('*.json')
    record.unlink()
    array, = how.cache.glob('*.npy')
    array.write_bytes(array.read_bytes()[:100])
    assert np.array_equal(decode_files('Art', paths, how)[0], whole)


def test_unreadable_files_are_listed_with_their_reasons_and_the_rest_keeps_its_labels(tmp_path):
    root = tree(tmp_path / 'data', suffix='jpg', domains=['a', 'b'])
    bike = root / 'a' / 'Bike'
    (bike / '00000.jpg').write_bytes(b'')
    (root / 'a' / 'Alarm_Clock' / '00001.jpg').write_text('<html>404</html>')
    write(bike / 'long.jpg', np.random.default_rng(0).integers(0, 256, (200, 200, 3), dtype=np.uint8))
    (bike / 'long.jpg').write_bytes((bike / 'long.jpg').read_bytes()[:-5000])
    (bike / 'notes.docx').write_text('lost')
    (root / 'a' / 'loose.jpg').write_text('')
    domains = read(root, max_skipped_fraction=0.5)
    reasons = {os.path.basename(note['file']): note['reason'] for note in domains.skipped}
    no_image = 'no image that OpenCV can decode'
    assert reasons.pop('long.jpg') in ('the file ends before the image', no_image)  # OpenCV 4 takes half an image for one
    assert reasons == {'00000.jpg': 'empty', '00001.jpg': no_image, 'notes.docx': no_image, 'loose.jpg': 'in the folder of no class'}
    assert domains['a'].labels.tolist() == [0, 0, 1, 1] and len(domains['b']) == 6
    expected = [cv2.imread(str(path)) for path in (*sorted((root / 'a' / 'Alarm_Clock').iterdir())[::2], *sorted(bike.iterdir())[1:3])]
    assert np.array_equal(domains['a'].inputs, [small(image) for image in expected])


def test_worker_processes_decode_as_threads_do(tmp_path):
    paths = sorted((tree(tmp_path / 'data') / 'Art').rglob('*.png'))
    paths[2].write_text('no image')
    threads, processes = (decode_files('Art', paths, Decoding(size=5, channels=1, cache=tmp_path / f'{n}', workers=n, max_skipped=0.5))
                          for n in (0, 1))
    assert np.array_equal(threads[0], processes[0]) and threads[0].shape == (5, 5, 5, 1)
    assert threads[1].tolist() == processes[1].tolist() == [0, 1, 3, 4, 5] and threads[2] == processes[2]


def test_grey_deep_transparent_and_turned_images(tmp_path):
    ramp = np.arange(100, dtype=np.uint8).reshape(10, 10)
    clear = np.full((10, 10, 4), (10, 20, 30, 255), np.uint8)
    clear[:5, :, 3] = 0
    write(tmp_path / 'grey.png', ramp)
    write(tmp_path / 'deep.png', ramp.astype(np.uint16) * 256 + 77)
    write(tmp_path / 'clear.png', clear)
    assert np.array_equal(images.read_image(tmp_path / 'grey.png'), ramp[..., None])
    assert np.array_equal(images.read_image(tmp_path / 'deep.png'), ramp[..., None])
    laid = images.read_image(tmp_path / 'clear.png')
    assert (laid[:5] == 255).all() and (laid[5:] == (30, 20, 10)).all()
    write(tmp_path / 'a.jpg', picture(0))
    exif = b'Exif\0\0II*\0' + struct.pack('<IHHHIII', 8, 1, 0x112, 3, 1, 6, 0)  # orientation 6: to be turned clockwise
    plain = (tmp_path / 'a.jpg').read_bytes()
    (tmp_path / 'turned.jpg').write_bytes(plain[:2] + struct.pack('>HH', 0xFFE1, len(exif) + 2) + exif + plain[2:])
    upright = images.read_image(tmp_path / 'a.jpg')
    assert np.array_equal(upright, cv2.imread(str(tmp_path / 'a.jpg'))[..., ::-1])
    assert np.array_equal(images.read_image(tmp_path / 'turned.jpg'), np.rot90(upright, -1))
