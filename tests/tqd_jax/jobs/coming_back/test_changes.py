"""The same clips under another path go on to the same end; changed ones go on by leave, in a new order, and that is on record."""
import json
import os
import pathlib
import shutil
import types

import numpy as np
import pytest
import small

from tqd_jax.clips import places
from tqd_jax.clips.content import content_id
from tqd_jax.scoring.scores import read_scores
from tqd_jax.training.workdir import _are_elsewhere, held
from transfer_jax.runtime.errors import UserError
from transfer_jax.runtime.saves.checkpoint import Checkpoints

pytestmark = pytest.mark.long

NAMES = [f'{number}.mp4' for number in range(6)]


def changes(clips, **more):
    return {'data.clips': clips, 'train.steps': 4, 'checkpoint.every': 2, 'eval.every': 4, 'sample.clips': 1, 'sample.steps': 1, **more}


@pytest.fixture(scope='module')
def made(tmp_path_factory, compiled):
    """A folder of clips, the work directory of a run of two steps on it, and of one of four."""
    folder = tmp_path_factory.mktemp('changes')
    small.moving(folder / 'clips', NAMES)
    small.run(folder / 'half', **changes(folder / 'clips', **{'train.steps': 2}))
    small.run(folder / 'whole', **changes(folder / 'clips'))
    return folder


@pytest.fixture
def run(made, tmp_path):
    shutil.copytree(made / 'half', tmp_path / 'run')
    return tmp_path


def same_end(made, run, clips):
    (_, found), (_, wanted) = small.saved(run, **changes(clips)), small.saved(made / 'whole', **changes(made / 'clips'))
    assert found.keys() == wanted.keys() and all(np.array_equal(found[name], wanted[name]) for name in found)


@pytest.fixture
def spellings(made, run, monkeypatch):
    """{name: how the same clips are named}."""
    clips = made / 'clips'
    monkeypatch.setenv('HOME', str(made))
    monkeypatch.chdir(made)
    (run / 'link').symlink_to(clips)
    shutil.copytree(clips, run / 'moved')
    shutil.copytree(clips, run / 'renamed')
    for number, name in enumerate(NAMES):
        (run / 'renamed' / name).rename(run / f'renamed/z{9 - number}.mp4')
    (run / 'list.txt').write_text(''.join(f'{clips / name}\n' for name in reversed(NAMES)))
    return {'slash': f'{clips}/', 'relative': 'clips', 'home': '~/clips', 'variable': '$HOME/clips', 'link': run / 'link',
            'dots': f'{clips}/../clips', 'uri': clips.as_uri(), 'moved': run / 'moved', 'renamed': run / 'renamed',
            'list': run / 'list.txt', 'named': f'clips={clips}'}


@pytest.mark.parametrize('spelling', ['relative', 'renamed'])
def test_the_same_clips_under_another_path_end_as_if_they_had_stayed(made, run, spellings, spelling):
    small.run(run / 'run', **changes(spellings[spelling]))
    assert not (run / 'run/changes.jsonl').exists() and Checkpoints(run / 'run/checkpoints').latest() == 4
    same_end(made, run / 'run', spellings[spelling])
    small.run(run / 'run', 'score', **changes(made / 'clips'))


def test_however_they_are_named_they_are_the_same_clips(made, run, spellings):
    table = read_scores(run / 'run/scores.parquet')
    ids, folder = table.texts('id', np.arange(6)), run / 'run'
    for spec in spellings.values():
        config = small.config(**changes(spec))
        assert held(config, config.data, folder) == {'stay': True, 'counts': {}, 'summary': ''}
        named = read_scores(folder / 'scores.parquet')
        assert named.texts('id', np.arange(6)) == ids and named.schema == table.schema
        assert [content_id(places.join(str(folder), name)) for name in named.texts('clip', np.arange(6))] == ids


def test_a_moved_folder_is_sampled_from_and_not_measured_again(made, run, monkeypatch):
    shutil.copytree(made / 'clips', run / 'moved')
    shutil.copytree(made / 'whole', run / 'whole')
    monkeypatch.setattr('tqd_jax.scoring.row.score_clip', lambda *rest: pytest.fail('measured again'))
    small.run(run / 'whole', 'sample', **changes(run / 'moved'))
    small.run(run / 'whole', 'eval', **changes(run / 'moved'))
    scores = read_scores(run / 'whole/scores.parquet')
    assert scores.texts('clip', np.arange(6)) == [str(run / 'moved' / name) for name in NAMES]
    small.run(run / 'whole', **changes(run / 'moved', **{'train.steps': 5}))


@pytest.mark.parametrize(('left', 'elsewhere'), [([], True), ([2], False), ([0, 1], False)])
def test_clips_were_moved_where_none_is_left_and_not_where_one_is_gone(tmp_path, left, elsewhere):
    paths = [str(tmp_path / name) for name in NAMES[:3]]
    for row in left:
        pathlib.Path(paths[row]).write_bytes(b'')
    extras = {'config': {'data': {'clips': str(tmp_path)}}}
    assert _are_elsewhere(small.config(**{'data.clips': tmp_path}), extras, types.SimpleNamespace(paths=paths)) == elsewhere


def test_changed_clips_go_on_by_leave_and_the_record_says_so(made, run, capsys):
    shutil.copytree(made / 'clips', run / 'clips')
    (run / 'clips/0.mp4').unlink()
    small.moving(run / 'clips', ['6.mp4', '7.mp4'], seconds=1.5)
    asked = changes(run / 'clips', **{'data.allow_changes': True, 'train.learning_rate': 1e-4})
    words = r'train\.learning_rate: 0\.0003 -> 0\.0001.*or go on with the new ones by --config\.data\.allow_changes'
    with pytest.raises(UserError, match=words):
        small.run(run / 'run', **{**asked, 'data.allow_changes': False})
    capsys.readouterr()
    small.run(run / 'run', **asked)
    said = capsys.readouterr().out
    assert 'from step 2 on: 1 clip is gone' in said and 'learning rate at step 2: 0.0001, before 0.0003' in said
    record, = small.lines(run / 'run/changes.jsonl')
    assert record['step'] == 2 and record['clips'] == {'gone': 1, 'new': 2}
    assert record['config'] == ['train.learning_rate: 0.0003 -> 0.0001']
    checkpoints = Checkpoints(run / 'run/checkpoints')
    assert checkpoints.latest() == 4 and checkpoints.extras(4)['changes'] == [record]
    assert checkpoints.extras(4)['normaliser'] == json.loads((made / 'half/normaliser.json').read_text())  # scores map as before
    page = (run / 'run/report.html').read_text()
    assert 'from step 2' in page and '2 clips are new' in page and 'train.learning_rate' in page
    rates = [line['learning_rate'] for line in small.scalars(run / 'run') if line['step'] == 4 and 'learning_rate' in line]
    assert rates == [pytest.approx(1e-4)]
    for mode in ('eval', 'sample'):  # with the leave and without
        small.run(run / 'run', mode, **asked)
        small.run(run / 'run', mode, **{**asked, 'data.allow_changes': False})
    small.run(run / 'run', **{**asked, 'data.allow_changes': False, 'train.steps': 5})
    assert len(small.lines(run / 'run/changes.jsonl')) == 1


def test_killed_before_it_saved_it_needs_the_leave_again(made, run, monkeypatch):
    shutil.copytree(made / 'clips', run / 'clips')
    (run / 'clips/0.mp4').unlink()
    asked = changes(run / 'clips', **{'data.allow_changes': True})
    with monkeypatch.context() as killed, pytest.raises(KeyboardInterrupt):
        killed.setattr('tqd_jax.main.train', lambda run: (_ for _ in ()).throw(KeyboardInterrupt))
        small.run(run / 'run', **asked)
    with pytest.raises(UserError, match=r'was changed at step 2 by leave \(1 clip is gone .*\), and has saved nothing since: give'):
        small.run(run / 'run', **{**asked, 'data.allow_changes': False})
    small.run(run / 'run', **asked)
    assert len(small.lines(run / 'run/changes.jsonl')) == 1 and Checkpoints(run / 'run/checkpoints').latest() == 4


def test_a_longer_cosine_goes_on_by_leave(made, tmp_path, capsys):
    cosine = changes(made / 'clips', **{'train.schedule': 'cosine', 'train.steps': 2})
    small.run(tmp_path, **cosine)
    small.run(tmp_path, **cosine)
    assert 'its cosine schedule has come to its end' in capsys.readouterr().out
    small.run(tmp_path, **{**cosine, 'train.steps': 4, 'data.allow_changes': True})
    assert 'learning rate at step 2: ' in capsys.readouterr().out
    assert small.lines(tmp_path / 'changes.jsonl')[0]['config'] == ['train.steps: 2 -> 4']


def test_a_run_keeps_the_scores_that_it_began_with(made, run, monkeypatch):
    before = (run / 'run/scores.parquet').read_bytes()
    monkeypatch.setattr('tqd_jax.scoring.row.VERSION', 'another')
    small.run(run / 'run', **changes(made / 'clips'))
    assert (run / 'run/scores.parquet').read_bytes() == before
    same_end(made, run / 'run', made / 'clips')


def test_clips_that_the_run_could_not_use_may_come_and_go_unread(made, run):
    shutil.copytree(made / 'clips', run / 'clips')
    (run / 'clips/bad.mp4').write_bytes(b'no video')
    small.run(run / 'new', **changes(run / 'clips', **{'train.steps': 2}))
    os.utime(run / 'clips/bad.mp4', (0, 0))
    (run / 'clips').rename(run / 'there')
    small.run(run / 'new', **changes(run / 'there'))
    assert pathlib.Path(run / 'new/skipped.jsonl').read_text().count('\n') == 1
