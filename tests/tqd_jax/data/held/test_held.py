"""What differs between the clips that a folder was prepared from and those that are named now, as it is told."""
import json

import pytest
import small

from tqd_jax.data.held.hold import held_against
from tqd_jax.data.prepare import STORE, prepare

NAMES = [f'{number}.mp4' for number in range(3)]
LONG = 'the same beginning of a caption ' * 4


@pytest.fixture(scope='module')
def clips(tmp_path_factory):
    return small.moving(tmp_path_factory.mktemp('clips'), NAMES)


@pytest.fixture
def told(clips, tmp_path):
    """A function of the rows of a manifest, first and now, and of config.data's keys: what is said of the difference."""
    def say(first, now, **keys):
        manifest = clips / 'list.jsonl'
        manifest.write_text('\n'.join(map(json.dumps, first)))
        data = small.config(**{'data.clips': manifest, **{f'data.{key}': value for key, value in keys.items()}}).data
        prepare(data, tmp_path, seed=0)
        manifest.write_text('\n'.join(map(json.dumps, now)))
        return held_against(data, tmp_path, tmp_path / STORE, 0)[0].summary
    return say


def test_columns_of_other_names_are_those_of_the_run(told):
    rows = [{'video': name, 'prompt': f'disc {name}', 'caption': 'another text'} for name in NAMES]
    assert told(rows, rows, columns='clip=video,caption=prompt') == ''
    said = told(rows, [{**row, 'prompt': 'x'} for row in rows], columns='clip=video,caption=prompt')
    assert said.startswith('3 clips have another caption')


def test_a_later_one_of_several_captions_counts(told):
    rows = [{'clip': name, 'captions': ['a disc', f'a ring {name}']} for name in NAMES]
    assert told(rows, rows) == ''
    said = told(rows, [*rows[:2], {'clip': NAMES[2], 'captions': ['a disc', 'a square']}])
    assert said.startswith('1 clip has another caption') and "['a disc', 'a ring 2.mp4'] -> ['a disc', 'a square']" in said
    assert '1 clip has another caption' in told(rows, [*rows[:2], {'clip': NAMES[2], 'captions': ['a disc']}])


def test_long_captions_are_told_from_where_they_differ(told):
    rows = [{'clip': name, 'caption': f'{LONG}{name}'} for name in NAMES]
    said = told(rows, [*rows[:2], {'clip': NAMES[2], 'caption': f'{LONG}end'}])
    assert "caption 2.mp4' -> ..." in said and said.endswith("caption end')") and len(said) < 250
