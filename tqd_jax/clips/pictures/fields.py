"""Interlaced pictures, whose alternate lines are of two moments: noticed by combing and by the file's marks, deinterlaced where asked."""
import itertools

import av
import numpy as np

COLUMNS = 48  # of a picture that are looked at
FRAMES = 12  # of a stretch that are looked at
MOVING = 6.0, 32.0  # grey levels of change that tell a moving place from noise, and above which it counts no more
MOVED = 0.3  # mean grey levels of moving places from which on combing would show
COMBED, SURELY_COMBED = 0.7, 1.25  # roughness from line to line over that within a field; up to .65 in progressive video, 1 in noise
PAIRED = 1.15  # how much better one way of pairing fields with those of the frames around agrees than the other; 1 in progressive video
MIN_JUDGED = 3  # frames that moved, below which the file's marks stand


def watch_fields(decoded, seen):
    """The frames unchanged; adds to the list `seen` what interlaced_share needs to know of the first FRAMES."""
    for frame in decoded:
        if len(seen) < FRAMES:
            seen.append((_luma(frame), bool(frame.interlaced_frame)))
        yield frame


def interlaced_share(seen):
    """The share of frames that are combed, of those that moved; where hardly any moved, the share that the file marks as interlaced.

    seen: of consecutive frames, grey levels float32 [H, columns] or None, and the mark. So a film that is marked as interlaced is none,
    and interlaced video that nobody marked is; telecined film has .4.
    """
    lumas = [luma for luma, _ in seen]
    verdicts = [_is_combed(*three) for three in zip(lumas, lumas[1:], lumas[2:], strict=False) if _comparable(three)]
    verdicts = [verdict for verdict in verdicts if verdict is not None]
    return float(np.mean(verdicts if len(verdicts) >= MIN_JUDGED else [mark for _, mark in seen] or [0]))


def _is_combed(before, frame, after):
    """Whether a frame's lines are of two moments; None where nothing moves.

    Lines of two moments are rougher against their neighbours, where something moves, than against those of their own field. In fine texture
    or noise that says little, and time must agree, as in libav's idet.
    """
    change = np.minimum(np.abs(frame - before) + np.abs(frame - after), MOVING[1])[2:-2]
    change = np.where(change > MOVING[0], change, 0)
    if change.mean() < MOVED:
        return None
    bend = lambda lines: float((change * np.abs(frame[2 - lines:len(frame) - 2 - lines] + frame[2 + lines:len(frame) - 2 + lines]
                                               - 2 * frame[2:-2])).sum())
    rough = bend(1) / max(bend(2), 1e-6)
    return rough > SURELY_COMBED or (rough > COMBED and _pairing(before, frame, after) > PAIRED)


def _pairing(before, frame, after):
    """The ratio, at least 1, of the misfits of a frame's lines to one field of the frame before and the other of the frame after."""
    around = frame[:-2] + frame[2:]
    earlier, later = (np.abs(around - 2 * other[1:-1]).mean(1) for other in (before, after))
    one, two = (earlier[start::2].sum() + later[1 - start::2].sum() for start in (0, 1))
    return max(one, two) / max(min(one, two), 1e-6)


def _comparable(three):
    return all(luma is not None for luma in three) and len({luma.shape for luma in three}) == 1


def _luma(frame):
    """float32 [H, COLUMNS] grey levels of every so many columns, or None where a frame has no plane of luma of its own."""
    plane, kind = frame.planes[0], frame.format
    if kind.is_rgb or kind.has_palette or len(frame.planes) < 2 or plane.height < 16:
        return None
    bits = kind.components[0].bits
    values = np.frombuffer(plane, np.uint8 if bits == 8 else np.uint16)
    lines = values.reshape(-1, plane.line_size // values.itemsize)[:plane.height, :plane.width]
    return lines[:, ::max(1, plane.width // COLUMNS)].astype(np.float32) / 2 ** (bits - 8)


def deinterlaced(decoded, which):
    """The frames with bwdif's lines in place of those of the other moment, as many and at the same times; which: as in PictureOptions."""
    if which == 'never':
        return decoded
    mode = 'interlaced' if which == 'flagged' else 'all'
    same = lambda frame: (frame.width, frame.height, frame.format.name)
    return itertools.chain.from_iterable(_filtered(frames, mode) for _, frames in itertools.groupby(decoded, same))


def _filtered(frames, mode):
    """bwdif's of frames of one size and format."""
    first = next(frames)
    graph = av.filter.Graph()
    source = graph.add_buffer(width=first.width, height=first.height, format=first.format, time_base=first.time_base)
    graph.link_nodes(source, graph.add('bwdif', f'mode=send_frame:deint={mode}'), graph.add('buffersink')).configure()
    for frame in itertools.chain([first], frames, [None]):
        graph.push(frame)
        try:
            while True:
                yield graph.pull()
        except (av.error.BlockingIOError, av.error.EOFError):
            pass
