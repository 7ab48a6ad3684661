"""Near-duplicates: a fingerprint of what a clip shows and how it moves, and the groups of clips whose fingerprints agree."""
import itertools

import cv2
import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

SIDE = 32  # of the luma that is hashed
STILL, MOVED = 112, 48  # bits of the mean picture, and of each of the three differences
DEAD = 16.0  # half a level, over the whole picture; smaller coefficients of a difference may be an encoder's doing
FLAT = 2.0  # levels; a mean picture that varies less has no signs to speak of
WITHIN = 16  # bits; copies of 30 real clips (crf 38, half size, blur: all at once) differ by 14 at most, takes of one scene by 21 at least
CROWD = 64  # rows of one key that each row is compared with at most
WALSH = np.array([[1, 1, 1, 1], [1, 1, -1, -1], [1, -1, -1, 1], [1, -1, 1, -1]], np.float32)
BITS = STILL + 3 * MOVED


def fingerprint(frames):
    """64 hex digits that copies nearly share, or '' where there is nothing to tell apart (no detail in the mean picture).

    frames: uint8 [F, H, W, 3]. Four of them, evenly spread and shrunk to luma [32, 32], are combined in time by a Walsh transform: their
    mean picture, and three differences. The lowest frequencies of the DCT of each, without the constant, give a bit each: of the mean,
    whether it is above their median (as pHash: Zauner 2010, Implementation and Benchmarking of Perceptual Image Hash Functions); of a
    difference, whether it is above a dead zone, so that the noise of a still clip's copy sets no bit. The differences tell takes of one
    scene apart. Another encoding, size, a blur and a little brightness change few bits; mirroring, other seconds and cropping change many.
    """
    luma = np.stack([_shrink(frames[(2 * k + 1) * len(frames) // 8]) for k in range(4)])
    mean, *differences = (WALSH @ luma.reshape(4, -1).astype(np.float32)).reshape(4, SIDE, SIDE)
    if mean.std() / 4 < FLAT:
        return ''
    low = _low(mean, STILL)
    bits = [low > np.median(low)] + [_low(difference / 2, MOVED) > DEAD for difference in differences]
    return np.packbits(np.concatenate(bits)).tobytes().hex()


def near_duplicates(fingerprints, within=WITHIN):
    """Groups of rows, each an ascending int array, the largest group first: linked by fingerprints that differ in at most `within` bits.

    fingerprints [N]: what fingerprint returns; '' and None belong to no group. By the pigeonhole principle: bits are dealt to within + 2
    blocks, so two fingerprints that near agree in at least two whole blocks, and only rows that share the values of a pair of blocks are
    compared. Exact where at most CROWD + 1 rows share them; where more do, as still clips of one camera, a row meets the CROWD after it
    in the order of the blocks that follow, so that a pair may be missed, never made up. Time N (log N + CROWD) times the number of pairs
    of blocks (153), memory of less than 1 kB a row. Raises ValueError on other text.
    """
    rows = np.array([row for row, text in enumerate(fingerprints) if text], np.int64)
    codes, inverse = np.unique(_codes([fingerprints[row] for row in rows]), axis=0, return_inverse=True)
    labels = np.arange(len(codes))
    blocks = _blocks(codes, within + 2)
    for one, other in itertools.combinations(range(len(blocks)), 2):
        following = blocks[(other + 1) % len(blocks)] << 32 | blocks[(other + 2) % len(blocks)]
        labels = _link(blocks[one] << 32 | blocks[other], following, codes, labels, within)
    labels = labels[inverse.reshape(-1)]
    order = np.argsort(labels, kind='stable')
    groups = np.split(rows[order], np.flatnonzero(np.diff(labels[order])) + 1)
    return sorted((group for group in groups if len(group) > 1), key=lambda group: (-len(group), group[0]))


def distances(one, other):
    """Bits in which codes uint64 [..., 4] differ."""
    return np.bitwise_count(one ^ other) @ np.ones(BITS // 64, np.uint16)


def _shrink(frame):
    """Luma uint8 [SIDE, SIDE]; halved first, which OpenCV does forty times faster than other factors."""
    luma = cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY)
    while min(luma.shape) >= 4 * SIDE:
        height, width = (side // 2 for side in luma.shape)
        luma = cv2.resize(luma[:2 * height, :2 * width], (width, height), interpolation=cv2.INTER_AREA)
    return cv2.resize(luma, (SIDE, SIDE), interpolation=cv2.INTER_AREA)


def _low(picture, count):
    """The `count` lowest frequencies of a picture's orthonormal DCT, without the constant."""
    return cv2.dct(picture).reshape(-1)[LOWEST[1:count + 1]]


def _codes(fingerprints):
    """uint64 [N, 4] of hex digits."""
    wrong = next((text for text in fingerprints if len(text) != BITS // 4), None)
    if wrong is not None:
        raise ValueError(f'a fingerprint has {BITS // 4} hex digits, got {wrong!r}')
    return np.frombuffer(bytes.fromhex(''.join(fingerprints)), '>u8').astype(np.uint64).reshape(-1, BITS // 64)


def _blocks(codes, count):
    """The bits as `count` numbers [N], dealt in turns, so that every block has its share of the mean picture's."""
    blocks = np.zeros((count, len(codes)), np.int64)
    for bit in range(BITS):
        word, place = divmod(bit, 64)
        blocks[bit % count] = 2 * blocks[bit % count] + (codes[:, word] >> np.uint64(63 - place) & np.uint64(1)).astype(np.int64)
    return blocks


def _link(keys, following, codes, labels, within):
    """The labels [N] of groups, joined where two rows of equal key are near: each row against its first, ... CROWD-th successor."""
    order = np.argsort(keys)
    if (keys[order[CROWD + 1:]] == keys[order[:-CROWD - 1]]).any():
        order = np.lexsort([following, keys])  # in a crowd, those first that agree further
    keys, codes = keys[order], codes.take(order, axis=0)  # what is compared then lies close in memory
    step, at = 1, np.arange(len(keys) - 1)
    while step <= CROWD and (at := at[keys[at] == keys[at + step]]).size:
        near = at[distances(codes.take(at, axis=0), codes.take(at + step, axis=0)) <= within]
        one, other = labels[order[near]], labels[order[near + step]]
        if (one != other).any():
            labels = _join(labels, one, other)
        step += 1
        at = at[at + step < len(keys)]
    return labels


def _join(labels, one, other):
    """Labels with the groups `one` [E] and `other` [E] made the same."""
    involved, ends = np.unique(np.concatenate([one, other]), return_inverse=True)
    graph = coo_array((np.ones(len(one)), ends.reshape(2, -1)), shape=(len(involved), len(involved)))
    component = connected_components(graph, directed=False)[1]
    renamed = np.arange(len(labels))
    renamed[involved] = involved[np.unique(component, return_index=True)[1]][component]
    return renamed[labels]


def _lowest():
    rows, columns = np.mgrid[:SIDE, :SIDE]
    return np.argsort((rows**2 + columns**2).reshape(-1), kind='stable')


LOWEST = _lowest()  # positions in a flattened DCT, by frequency
