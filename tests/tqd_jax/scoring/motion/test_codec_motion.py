"""The codec's motion vectors: a shift is near its speed, rest is none, seconds and not frames, and codecs that tell nothing."""
import av
import numpy as np
import pytest
from scenes import SIZE, moving

from tqd_jax.clips.container import Limits
from tqd_jax.clips.places import BadClip
from tqd_jax.scoring.motion.codec import codec_motion

DIAGONAL = SIZE * np.sqrt(2)


def written(path, frames, rate=12, codec='libx264', **options):
    with av.open(str(path), 'w') as container:
        stream = container.add_stream(codec, rate=rate, options=options)
        stream.width = stream.height = SIZE
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format='rgb24')))
        container.mux(stream.encode())
    return path


def test_a_shift_is_its_speed_within_a_factor_of_two_and_rest_is_none(tmp_path):
    """What is predicted from two frames back has vectors of twice the length; what enters at the border has none."""
    lengths = [codec_motion(written(tmp_path / f'{pixels}.mp4', moving(pixels, 20))) for pixels in (0, 1, 2, 3, 6)]
    assert lengths[0] == 0 and (np.diff(lengths) > 0).all()
    shares = np.array(lengths[1:]) / (np.array([1, 2, 3, 6]) * 12 / DIAGONAL)
    assert shares.min() > 0.5 and shares.max() < 2


def test_without_frames_that_look_ahead_or_far_back_a_shift_is_its_speed(tmp_path):
    path = written(tmp_path / 'clip.mp4', moving(3, 40), bf='0', refs='1', g='40', crf='10')
    assert codec_motion(path) == pytest.approx(3 * 12 / DIAGONAL, rel=0.15)


def test_speed_is_per_second(tmp_path):
    slow, fast = (codec_motion(written(tmp_path / f'{rate}.mp4', moving(2, 20), rate)) for rate in (10, 20))
    assert fast == pytest.approx(2 * slow, rel=0.05)


@pytest.mark.parametrize('suffix', ['mp4', 'mkv', 'ts'])
def test_a_long_clip_is_asked_from_end_to_end(tmp_path, suffix):
    frames = np.concatenate([moving(0, 100), moving(2, 100)])  # at rest for the first half
    late, whole = (codec_motion(written(tmp_path / f'{len(f)}.{suffix}', f, g='25', bf='0', refs='1')) for f in (frames, frames[100:]))
    assert late == pytest.approx(whole / 2, rel=0.3)


@pytest.mark.parametrize(('suffix', 'codec', 'options'),
                         [('webm', 'libvpx-vp9', {}), ('mkv', 'ffv1', {}), ('mkv', 'libx264', {'g': '1'}), ('mp4', 'libx264', {'g': '1'})])
def test_a_codec_without_vectors_tells_nothing(tmp_path, suffix, codec, options):
    assert codec_motion(written(tmp_path / f'clip.{suffix}', moving(2, 6), codec=codec, **options)) is None


def test_bad_files_are_bad_clips(tmp_path):
    (tmp_path / 'text.mp4').write_text('not a video\n' * 500)
    with pytest.raises(BadClip, match='not a video'):
        codec_motion(tmp_path / 'text.mp4')
    with pytest.raises(BadClip, match='128x128'):
        codec_motion(written(tmp_path / 'clip.mp4', moving(1)), Limits(max_pixels=100))


def test_real_clips_that_move_more_have_longer_vectors(real_clips):
    still, moves = (codec_motion(real_clips / name) for name in ('intel_bottle-detection.mp4', 'sam2_bedroom.mp4'))
    assert 0 <= still < moves / 2
