"""Boxes of mp4 files changed by hand: a display matrix, an edit list, names of codecs."""
import struct

UNIT = 1 << 16


def with_matrix(path, a, b, c, d):
    """Writes the display matrix, in units of 1, that shows a pixel (x, y) at (a x + c y, b x + d y) into a file that has none."""
    fixed = lambda *values: [round(UNIT * value) for value in values]
    matrix = lambda a, b, c, d: struct.pack('>9i', *fixed(a, b), 0, *fixed(c, d), 0, 0, 0, 1 << 30)
    data = path.read_bytes()
    place = data.index(matrix(1, 0, 0, 1), data.index(b'tkhd'))
    path.write_bytes(data[:place] + matrix(a, b, c, d) + data[place + 36:])


def with_edits(path, *edits, movie_scale=1000):
    """Adds an edit list to a file that has none, of (duration in ms, start in the media's ticks or -1 for a pause)."""
    data = path.read_bytes()
    elst = struct.pack('>I4sII', 16 + 12 * len(edits), b'elst', 0, len(edits))
    elst += b''.join(struct.pack('>Iihh', length * movie_scale // 1000, start, 1, 0) for length, start in edits)
    box = struct.pack('>I4s', 8 + len(elst), b'edts') + elst
    for name in (b'moov', b'trak'):
        place = data.index(name) - 4
        size = int.from_bytes(data[place:place + 4])
        data = data[:place] + (size + len(box)).to_bytes(4) + data[place + 4:]
    place = data.index(b'tkhd') - 4
    place += int.from_bytes(data[place:place + 4])
    path.write_bytes(data[:place] + box + data[place:])


def renamed(path, old, new):
    """Replaces four letters, as of a codec's name, by four others."""
    data = path.read_bytes()
    assert data.count(old) == 1 and len(old) == len(new)
    path.write_bytes(data.replace(old, new))
