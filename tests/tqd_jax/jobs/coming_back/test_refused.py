"""A refused command changes nothing in a work directory, whatever refuses it; what it asked for and what to do are one line."""
import hashlib
import pathlib
import shutil
from unittest import mock

import pytest
import small

from tqd_jax.training import workdir as workdirs
from transfer_jax.runtime.errors import UserError
from transfer_jax.runtime.saves.checkpoint import Checkpoints

NAMES = [f'{number}.mp4' for number in range(6)]
MODES = ('train', 'sample', 'eval', 'learn', 'align', 'score')
LEAVE = '--config.data.allow_changes=True'


def contents(folder):
    """{path: hash} of every file below a folder, and of its folders."""
    return {str(path.relative_to(folder)): path.is_file() and hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.rglob('*')}


def tables(folder):
    """The same without the rows of measured contents, which stay."""
    return {name: content for name, content in contents(folder).items() if name != 'scores.store'}


def changes(clips, **more):
    return {'data.clips': clips, 'train.steps': 2, 'checkpoint.every': 2, 'eval.every': 2, 'sample.clips': 1, 'sample.steps': 1,
            'data.held_out_fraction': 0.0, **more}


def with_captions(folder, captions):
    """A manifest of the folder's clips."""
    path = folder / 'list.csv'
    path.write_text('clip,caption\n' + ''.join(f'{name},{caption}\n' for name, caption in captions.items()))
    return path


@pytest.fixture(scope='module')
def made(tmp_path_factory, compiled):
    """(a folder of clips with a manifest, the work directory of a run of two steps on it)."""
    folder = tmp_path_factory.mktemp('refused')
    clips = with_captions(small.moving(folder / 'clips', NAMES), {name: f'disc {name[0]}' for name in NAMES})
    small.run(folder / 'run', **changes(clips))
    return folder


@pytest.fixture
def run(made, tmp_path):
    """A copy of both."""
    shutil.copytree(made / 'run', tmp_path / 'run')
    shutil.copytree(made / 'clips', tmp_path / 'clips')
    return tmp_path


def refused(run, words, mode='train', **more):
    """Asserts that a command is refused in these words and leaves all as it was."""
    before = contents(run / 'run')
    with pytest.raises(UserError, match=words) as caught:
        small.run(run / 'run', mode, **more)
    assert '\n' not in str(caught.value) and contents(run / 'run') == before
    return str(caught.value)


def test_a_clip_that_is_gone(made, run, capsys):
    table = with_captions(run / 'clips', {name: f'disc {name[0]}' for name in NAMES[1:]})
    message = refused(run, r'1 clip is gone \(.*0\.mp4\); restore', **changes(table, **{'train.steps': 3}))
    assert LEAVE in message
    refused(run, r'1 clip is gone', 'score', **changes(table))
    small.run(run / 'run', 'sample', **changes(table))  # by another name, too
    assert '1 clip is gone' in capsys.readouterr().out
    whole = (made / 'clips/list.csv').read_text()
    try:  # under the name that the run knows: what reads the run as it is still can
        with_captions(made / 'clips', {name: f'disc {name[0]}' for name in NAMES[1:]})
        refused(run, r'1 clip is gone', **changes(made / 'clips/list.csv', **{'train.steps': 3}))
        for mode in ('sample', 'eval'):
            small.run(run / 'run', mode, **changes(made / 'clips/list.csv'))
    finally:
        (made / 'clips/list.csv').write_text(whole)


def test_a_clip_that_is_new_and_two_that_are_gone(run):
    small.moving(run / 'clips', ['6.mp4', '7.mp4'], seconds=1.5)
    table = with_captions(run / 'clips', {name: f'disc {name[0]}' for name in [*NAMES[:4], '6.mp4', '7.mp4']})
    words = r'2 clips are gone \(the first is .*4\.mp4\); 2 clips are new \(the first is .*6\.mp4\)'
    refused(run, words, **changes(table, **{'train.steps': 3}))


def test_a_caption_that_was_corrected_is_told_before_and_after(run):
    table = with_captions(run / 'clips', {name: f'disc {name[0]}' if name != '3.mp4' else 'a red disc' for name in NAMES})
    refused(run, r"1 clip has another caption \(.*3\.mp4, 'disc 3' -> 'a red disc'\)", **changes(table, **{'train.steps': 3}))
    table = with_captions(run / 'clips', {name: f'ring {name[0]}' for name in NAMES})
    refused(run, r"6 clips have another caption \(the first is .*0\.mp4, 'disc 0' -> 'ring 0'\)", **changes(table, **{'train.steps': 3}))


def test_a_clip_whose_content_is_another_one(run):
    small.moving(run / 'clips', ['5.mp4'])
    refused(run, r'1 clip is gone \(.*5\.mp4\); 1 clip is new \(.*5\.mp4\)', **changes(run / 'clips/list.csv', **{'train.steps': 3}))


@pytest.mark.parametrize('mode', MODES)
def test_another_config(run, mode):
    refused(run, r"another config \(law\.kind: 'beta' -> 'uniform'\)", mode, **changes(run / 'clips/list.csv', **{'law.kind': 'uniform'}))
    refused(run, r"another config \(data\.clips: .* -> None\)", mode, **changes(None))


@pytest.mark.parametrize('mode', MODES)
def test_clips_that_are_not_there(run, mode):
    refused(run, r'there is no folder or manifest|was scored but', mode, **changes(run / 'elsewhere', **{'train.steps': 3}))


@pytest.mark.parametrize('more, words', [
    ({'data.mix': {'web': {'rate': 1.0, 'weight': 1.0}}}, 'config.data.mix names the sources'),
    ({'data.max_skipped_fraction': 0.0}, '2 of 8 clips cannot be used')])
def test_what_is_refused_after_the_leave_to_change(run, more, words):
    (run / 'clips/8.mp4').write_bytes(b'no video')
    (run / 'clips/9.mp4').write_bytes(b'none either')
    small.moving(run / 'clips', ['6.mp4', '7.mp4'], seconds=1.5)
    table = with_captions(run / 'clips', {name: 'x' for name in [*NAMES[:4], '6.mp4', '7.mp4', '8.mp4', '9.mp4']})
    before = tables(run / 'run')
    with pytest.raises(UserError, match=words) as caught:
        small.run(run / 'run', **changes(table, **{'train.steps': 3, 'data.allow_changes': True, **more}))
    assert tables(run / 'run') == before
    if 'data.max_skipped_fraction' in more:
        assert pathlib.Path(str(caught.value).rpartition(' ')[2]).read_text().count('\n') == 2


def test_what_fails_late_and_what_is_killed_leaves_the_tables(run):
    table = with_captions(run / 'clips', {name: f'disc {name[0]}' for name in NAMES[1:]})
    asked = changes(table, **{'train.steps': 3, 'data.allow_changes': True})
    before = tables(run / 'run')
    with mock.patch.object(workdirs, 'require_same', side_effect=UserError('late')), pytest.raises(UserError, match='late'):
        small.run(run / 'run', **asked)
    assert tables(run / 'run') == before
    with mock.patch.object(workdirs, 'require_same', side_effect=KeyboardInterrupt), pytest.raises(KeyboardInterrupt):
        small.run(run / 'run', **asked)
    assert tables(run / 'run') == before
    killed = mock.patch('transfer_jax.runtime.folder.unchanged.restore')
    with killed, mock.patch.object(workdirs, 'require_same', side_effect=KeyboardInterrupt), pytest.raises(KeyboardInterrupt):
        small.run(run / 'run', **asked)
    assert (run / 'run/.before').exists() and tables(run / 'run') != before
    small.run(run / 'run', **changes(run / 'clips/list.csv', **{'data.allow_changes': True}))  # says that it is finished
    with_captions(run / 'clips', {name: f'disc {name[0]}' for name in NAMES})
    small.run(run / 'run', **changes(run / 'clips/list.csv', **{'train.steps': 3}))
    assert Checkpoints(run / 'run/checkpoints').latest() == 3 and not (run / 'run/.before').exists()

