"""Several captions of a clip on published weights: all are encoded, and each example reads the features of one of its clip's own."""
import dataclasses
import json

import numpy as np
import pytest
import small
import wan_runs
import wan_small

ALL = [['a red disc', 'a disc that is red'], ['two dogs'], ['one', 'single', 'alone']]
CLIPS = 12


@pytest.fixture(scope='module')
def given(tmp_path_factory, compiled):
    """{'wan.path', 'data.clips'} of a tiny Wan and clips with several captions in turn."""
    folder = tmp_path_factory.mktemp('several')
    names = [f'{number:02}.mp4' for number in range(CLIPS)]
    small.moving(folder / 'clips', names)
    rows = [{'clip': name, 'captions': ALL[number % 3], 'mq': 0.9, 'vq': 0.9} for number, name in enumerate(names)]
    (folder / 'clips/m.jsonl').write_text('\n'.join(map(json.dumps, rows)))
    return {'wan.path': wan_small.write_folder(folder / 'wan'), 'data.clips': folder / 'clips/m.jsonl', 'data.held_out_fraction': 0.0}


def test_every_caption_is_encoded_and_each_example_draws_one_of_its_own(given, tmp_path):
    cache = wan_runs.encoded(tmp_path / 'cache', **given)
    texts = [caption for captions in ALL for caption in captions]
    assert len(wan_runs.records(cache)['text']) == len({*texts, '', 'bad'})
    changes = {'wan.path': given['wan.path'], 'data.cache': cache, 'data.held_out_fraction': 0.0}
    run, _, _ = wan_runs.trained(tmp_path / 'run', **changes)
    library, loader = run.library, dataclasses.replace(run.loader, batch=CLIPS, part=None)
    assert list(library.captions) == [captions[0] for captions in ALL * 4] and len(library.further_captions) == 12
    clips = np.arange(CLIPS)
    seen = {clip: set() for clip in range(3)}
    for number in range(30):
        text = np.asarray(loader(number, clips).text, np.float32)
        for place, clip in enumerate(clips):
            seen[clip % 3].add(text[place].tobytes())
    assert [len(seen[clip]) for clip in range(3)] == [len(captions) for captions in ALL]
    assert not (seen[0] & seen[1]) | (seen[0] & seen[2]) | (seen[1] & seen[2])
    first = np.asarray(loader.whole(clips).text, np.float32)
    np.testing.assert_array_equal(first, np.asarray(loader.whole(clips).text, np.float32))
    assert {row.tobytes() for row in first[::3]} <= seen[0]


def test_first_and_join_have_one_caption_a_clip(given, tmp_path):
    for how, expected in (('first', 'a red disc'), ('join', 'a red disc a disc that is red')):
        cache = wan_runs.encoded(tmp_path / how, **given, **{'data.captions': how})
        count = {'first': {'a red disc', 'two dogs', 'one', '', 'bad'}, 'join': {*(' '.join(some) for some in ALL), '', 'bad'}}[how]
        assert len(wan_runs.records(cache)['text']) == len(count) and expected in count
