"""Learned scorers: plug-ins defined here, found by name, run over small clips; what they see, what order, what memory, what errors."""
import dataclasses
import itertools
from unittest import mock

import numpy as np
import pytest
import small
from light import Light

from tqd_jax.clips.places import BadClip
from tqd_jax.clips.write import write_clip
from tqd_jax.scoring.plugins.scorers import letterbox, load_scorers, run_scorer
from transfer_jax.runtime.errors import UserError


def light():
    return Light()


def of_file(path):
    with open(path) as file:
        return Light(gain=float(file.read()), name=f'light{path[-5]}', columns=(f'light{path[-5]}_mean',))


def without_version():
    return mock.Mock(spec=['name'])


@pytest.fixture(scope='module')
def clips(tmp_path_factory):
    """Seven paths: a fifth without a video in it, a seventh of half the length."""
    folder = small.moving(tmp_path_factory.mktemp('scored'), [f'{i}.mp4' for i in (0, 1, 2, 3, 5)], size=(64, 96))
    (folder / '4.mp4').write_bytes(b'not a video')
    small.moving(folder, ['6.mp4'], size=(64, 96), seconds=0.25)
    return [str(folder / f'{i}.mp4') for i in range(7)]


def test_rows_are_in_order_and_bad_clips_have_reasons(clips):
    rows = list(run_scorer(light(), clips, batch=3, workers=2))
    assert [path for path, _ in rows] == clips
    assert [set(row) for _, row in rows] == [{'unread'} if '4.mp4' in path else {'light_mean', 'light_slope'} for path in clips]
    assert 'not a video' in rows[4][1]['unread'] and all(type(value) is float for value in rows[0][1].values())


def test_one_program_serves_all_batches_and_what_fills_them_is_dropped(clips):
    scorer = light()
    rows = list(run_scorer(scorer, clips, batch=4, workers=1))
    assert scorer.traces == 1 and [batch.shape for batch in scorer.batches] == 2 * [(4, 4, 32, 48, 3)]
    assert len(rows) == 7 and not scorer.batches[1][3].any() and not scorer.batches[1][0].any()
    assert rows == list(run_scorer(light(), clips, batch=1, workers=1))


def test_a_batch_of_bad_clips_only_needs_no_program(clips):
    scorer = light()
    assert [set(row) for _, row in run_scorer(scorer, 2 * [clips[4]], batch=2, workers=1)] == 2 * [{'unread'}]
    assert scorer.batches == [] == list(run_scorer(scorer, [], batch=2, workers=1))


@pytest.fixture(scope='module')
def brightening(tmp_path_factory):
    """Two seconds, 16 frames: of the levels 40, 50, ..., 190."""
    path = tmp_path_factory.mktemp('ramp') / 'ramp.mp4'
    write_clip(path, np.broadcast_to(np.arange(40, 200, 10, np.uint8)[:, None, None, None], (16, 64, 96, 3)), 8, crf=0)
    return str(path)


@pytest.mark.parametrize('frames, levels', [(4, (100, 110, 120, 130)), (1, (110,)), (18, (*range(40, 200, 10), 190, 190))])
def test_a_scorer_sees_the_middle_and_a_short_clips_last_frame_again(brightening, frames, levels):
    scorer = Light(frames=frames)
    list(run_scorer(scorer, [brightening], batch=1, workers=1))
    np.testing.assert_allclose(scorer.batches[0][0].mean((1, 2, 3)), levels, atol=6)  # half a frame's step, and how levels are encoded


def test_frames_are_sampled_at_the_scorers_rate(brightening):
    slopes = [next(run_scorer(Light(frames=4, rate=rate), [brightening], batch=1, workers=1))[1]['light_slope'] for rate in (2.0, 4.0, 8.0)]
    np.testing.assert_allclose(slopes, [120, 60, 30], atol=3)


def test_letterboxing_keeps_the_shape_between_black_bars():
    wide = letterbox(np.full((20, 80, 3), 200, np.uint8), (32, 32))
    assert (wide[12:20] == 200).all() and not wide[:12].any() and not wide[20:].any()
    tall = letterbox(np.full((16, 8, 3), 200, np.uint8), (32, 64))
    assert (tall[:, 24:40] == 200).all() and tall.sum() == 200 * 32 * 16 * 3


def test_shrinking_is_by_area():
    frame = np.random.default_rng(0).integers(0, 256, (64, 96, 3), dtype=np.uint8)
    means = frame.reshape(16, 4, 24, 4, 3).mean((1, 3))
    np.testing.assert_allclose(letterbox(frame, (16, 24)), means, atol=0.51)
    np.testing.assert_array_equal(letterbox(frame, (64, 96)), frame)


def test_no_more_than_a_batch_and_the_workers_are_decoded_ahead(clips):
    taken = []
    paths = (taken.append(path) or path for path in itertools.cycle(clips[:4]))
    for done, _ in enumerate(itertools.islice(run_scorer(light(), paths, batch=2, workers=3), 8)):
        assert len(taken) <= done + 2 + 2 + 3  # those of this batch, the next one's, and the workers'


@pytest.mark.parametrize('error, said', [(BadClip('too long'), 'too long'), (ZeroDivisionError('0'), 'cannot be measured (Zero'),
                                         (MemoryError(), 'too large for the memory')])
def test_whatever_goes_wrong_in_decoding_is_that_clips_reason(clips, error, said):
    with mock.patch('tqd_jax.scoring.plugins.scorers.read_clip', side_effect=error):
        path, row = next(run_scorer(light(), clips, batch=2, workers=1))
    assert path == clips[0] and row['unread'].startswith(said)


def test_a_column_that_is_taken_is_refused():
    with pytest.raises(UserError, match="the scorer light has the column 'light_mean', which the table has already"):
        load_scorers([f'{__name__}:light'], taken=('light_mean',))


def test_a_value_that_is_not_finite_is_a_reason(clips):
    rows = dict(run_scorer(Light(gain=np.inf), clips[:1], batch=1, workers=1))
    assert rows[clips[0]] == {'reason': 'light gave no finite light_mean'}


@pytest.mark.parametrize('columns', [('light_mean',), ('light_mean', 'light_slope', 'light_more')])
def test_other_columns_than_promised_are_refused(clips, columns):
    with pytest.raises(UserError, match='the scorer light returned columns of shapes'):
        list(run_scorer(Light(columns=columns), clips[:1], batch=1, workers=1))


def test_scorers_are_found_by_name_and_take_their_files(tmp_path):
    (tmp_path / '=2.txt').write_text('2.5')
    plain, of = load_scorers([f'{__name__}:light', f'{__name__}:of_file={tmp_path}/=2.txt'])
    assert type(plain).__name__ == 'Light' and plain.gain == 1 and of.gain == 2.5 and of.name == 'light2'
    assert load_scorers([]) == ()


@pytest.mark.parametrize('spec, said', [
    ('light', 'write module:factory or module:factory=FILE'),
    (':light', 'write module:factory'),
    ('no_such_module:light', "no_such_module cannot be imported .No module named 'no_such_module'"),
    (f'{__name__}:dark', f'the module {__name__} has no function dark'),
    (f'{__name__}:__name__', 'has no function __name__'),
    (f'{__name__}:of_file=/nowhere/w.npz', 'there is no file /nowhere/w.npz'),
    (f'{__name__}:of_file', f'it needs a file: write {__name__}:of_file=FILE'),
    (f'{__name__}:light={__file__}', f'it takes no file: write {__name__}:light'),
    (f'{__name__}:without_version', 'its name must be a text'),
])
def test_a_spec_that_leads_nowhere_is_one_line(spec, said):
    with pytest.raises(UserError, match=said) as error:
        load_scorers([spec])
    assert repr(spec) in str(error.value) and '\n' not in str(error.value)


@pytest.mark.parametrize('attribute, value', [
    ('name', ''), ('name', 'dark'), ('version', 3), ('columns', ['light_mean']), ('columns', ()), ('rate', 0), ('rate', float('inf')),
    ('frames', 2.5), ('frames', 0), ('size', (32, 0)), ('size', 32)])
def test_an_attribute_of_the_wrong_kind_is_named(attribute, value):
    wrong, said = dataclasses.replace(Light(), **{attribute: value}), 'its column' if value == 'dark' else f'its {attribute} must be'
    with mock.patch(f'{__name__}.light', lambda: wrong), pytest.raises(UserError, match=said):
        load_scorers([f'{__name__}:light'])


def test_two_scorers_of_one_name_are_refused():
    with pytest.raises(UserError, match="two have the name 'light'; leave one out"):
        load_scorers([f'{__name__}:light', f'{__name__}:light'])
