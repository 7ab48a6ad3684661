"""Tables of time stamps become clips: exactly the frames from start to before end."""
import csv

import numpy as np
import pytest
import videos

from tqd_jax.clips.read import read_clip
from tqd_jax.scoring.importers.cut import cut, main
from tqd_jax.scoring.importers.stamps import cuts_of
from transfer_jax.runtime.errors import UserError

PANDA = ('videoID,url,timestamp,caption,matching_score\n'
         'abcdefghijk,https://www.youtube.com/watch?v=abcdefghijk,'
         '"[[\'0:00:00.500\', \'0:00:02.000\'], [\'0:00:03.000\', \'0:00:04.100\']]",'
         '"[\'a red disc, it\\\'s here\', \'a blue disc\']","[0.5, 0.25]"\n'
         'gone,https://www.youtube.com/watch?v=gone12345,"[[\'0:00:00.500\', \'0:00:02.000\']]","[\'x\']",[0.1]\n')
KOALA = ('videoID,url,timestamp,caption,clarity_score,aesthetic_score,motion_score,video_training_suitability_score\n'
         'abcdefghijk_7,https://www.youtube.com/watch?v=abcdefghijk,"[\'0:00:01.000\', \'0:00:03.000\']",a disc,0.9,4.5,6.5,3.5\n')


@pytest.fixture
def library(tmp_path):
    (tmp_path / 'videos').mkdir()
    bits = (np.arange(60)[:, None] >> np.arange(6)) % 2 * 255  # a bar for each bit of a frame's number
    frames = np.broadcast_to(np.repeat(bits, 8, axis=1)[:, None, :, None], (60, 32, 48, 3))
    videos.encode(str(tmp_path / 'videos/abcdefghijk.mp4'), frames.astype(np.uint8), rate=10)
    return tmp_path


def numbers(path):
    clip = read_clip(str(path), rate=10)
    assert clip.fps == pytest.approx(10)
    return ((clip.frames[:, 16, 4::8, 0] > 127) @ (1 << np.arange(6))).tolist()


def rows(folder):
    with open(folder / 'metadata.csv', newline='', encoding='utf-8') as file:
        return list(csv.DictReader(file))


def test_panda(library, capsys):
    (library / 'p.csv').write_text(PANDA)
    arguments = [f'--table={library}/p.csv', f'--videos={library}/videos', f'--output={library}/clips']
    for _ in range(2):  # the second finds what the first has written
        main(arguments)
        assert capsys.readouterr().out == f'2 clips: {library}/clips\nleft out: 1, its video is not there\n'
    found = rows(library / 'clips')
    assert [(row['clip'], row['caption'], row['matching_score']) for row in found] == [
        ('abcdefghijk_0.mp4', "a red disc, it's here", '0.5'), ('abcdefghijk_1.mp4', 'a blue disc', '0.25')]
    for name, first, count in (('abcdefghijk_0.mp4', 5, 15), ('abcdefghijk_1.mp4', 30, 11)):
        assert numbers(library / 'clips' / name) == list(range(first, first + count))


def test_koala_and_columns_of_start_and_end(library):
    (library / 'k.csv').write_text(KOALA)
    assert cut(f'{library}/k.csv', f'{library}/videos', f'{library}/k') == (1, {})
    row, = rows(library / 'k')
    assert list(row.values())[:4] == ['abcdefghijk_7.mp4', 'a disc', '1.0', '3.0'] and row['motion_score'] == '6.5'
    assert numbers(library / 'k/abcdefghijk_7.mp4') == list(range(10, 30))
    (library / 's.csv').write_text('clip,start,end,text\nvideos/abcdefghijk.mp4,1.5,2,one\nabcdefghijk.mp4,0:02,3,two\n')
    assert cut(f'{library}/s.csv', f'{library}/videos', f'{library}/s') == (2, {})
    assert [(row['clip'], row['caption']) for row in rows(library / 's')] == [('abcdefghijk_1.5.mp4', 'one'), ('abcdefghijk_2.mp4', 'two')]


@pytest.mark.parametrize(('row', 'fault'), [
    ({'videoID': 'a', 'timestamp': 'soon'}, r"timestamp is 'soon', and not"), ({'videoID': 'a', 'timestamp': '[]'}, 'and not'),
    ({'videoID': 'a', 'timestamp': "['0:02', '0:01']"}, 'no start and end'), ({'videoID': 'a', 'start': '1', 'end': 'x'}, 'is no start'),
    ({'videoID': 'a'}, 'nor start and end'), ({'timestamp': '[1, 2]'}, 'names no video')])
def test_a_row_that_is_none_is_named(row, fault):
    with pytest.raises(UserError, match=f'^t.csv, row 3.*{fault}'):
        cuts_of(row, 't.csv, row 3', ())


def test_times_are_read_in_every_form():
    row = {'videoID': 'a', 'timestamp': "[['1:02:03.5', '1:02:04'], [1, 2.5], ['02:03', '124']]"}
    times = [(one['start'], one['end']) for one in cuts_of(row, '', ())]
    np.testing.assert_allclose(times, [(3723.5, 3724), (1, 2.5), (123, 124)])


def test_no_videos_or_no_table(tmp_path, library):
    (library / 'p.csv').write_text(PANDA)
    (tmp_path / 'empty').mkdir()
    with pytest.raises(UserError, match='there are no videos'):
        cut(f'{library}/p.csv', f'{tmp_path}/empty', f'{library}/clips')
    with pytest.raises(UserError, match='cannot be read'):
        cut(f'{library}/gone.csv', f'{library}/videos', f'{library}/clips')
