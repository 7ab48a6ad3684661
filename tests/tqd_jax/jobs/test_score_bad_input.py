"""What a user of python -m tqd_jax.score can get wrong: one line and exit code 2, before anything is measured."""
import json

import pytest
import small
from absl.testing import flagsaver
from score_job import NAMES, measured_paths, run

from tqd_jax import score as program
from tqd_jax.scoring.measures import VERSION


@pytest.fixture(scope='module')
def few(tmp_path_factory):
    return small.moving(tmp_path_factory.mktemp('few'), NAMES[:4])


ERRORS = {
    'no clips': ({}, '--clips is missing'),
    'nowhere': ({'clips': '/nowhere/at/all'}, 'there is no folder or manifest /nowhere/at/all'),
    'no normaliser': ({'normaliser': 'logit'}, '--normaliser=logit is neither rank'),
    'half a normaliser': ({'normaliser': '{folder}/half.json'}, 'no fitted'),
    'no NIQE model': ({'niqe': '{folder}/half.json'}, 'holds no NIQE model'),
    'no scorer': ({'scorers': ['nothing:at_all']}, 'nothing cannot be imported'),
    'a store elsewhere': ({'store': 'memory://rows'}, 'memory://rows: a run, or its cache, is in a local folder or at gs:// or s3://'),
    'a store that is none': ({'store': '{folder}/half.json'}, 'file is not a database'),
    'an output of no known kind': ({'output': 'nope://b/s.parquet', 'store': '{folder}/rows'},
                                'nope://b/s.parquet: a run, or its cache, is in a local folder or at gs:// or s3://'),
    'a folder as output': ({'output': '{folder}'}, 'is a folder'),
    'a file as folder': ({'output': '{folder}/half.json/scores.parquet'}, 'not be written'),
    'a tool without scores': ({'tool': 'dover'}, '--tool=dover says what --scores are of'),
    'a scratch without a cluster': ({'scratch': '{folder}'}, 'is a folder of --beam, which is missing'),
    'no scores': ({'scores': ['{folder}/none.csv']}, 'none.csv'),
}


@pytest.mark.parametrize('name', ERRORS)
def test_a_users_error_is_one_line_and_code_2_before_anything_is_measured(few, tmp_path, monkeypatch, capsys, name):
    changes, message = ERRORS[name]
    (tmp_path / 'half.json').write_text(json.dumps({'motion': {'kind': 'rank', 'knots': [0, 1]}}) + ' ' * 1000)
    fill = lambda value: [fill(one) for one in value] if isinstance(value, list) else value.format(folder=tmp_path)
    changes, measured = {key: fill(value) for key, value in changes.items()}, measured_paths(monkeypatch)
    with pytest.raises(SystemExit) as stop:
        run(**{'output': tmp_path / 'scores.parquet', 'clips': str(few) if changes else None} | changes)
    err = capsys.readouterr().err
    assert stop.value.code == 2 and err.startswith('error: ') and message in err and err.count('\n') == 1 and not measured


@pytest.mark.parametrize('word, message', [
    ('--clisp=/nowhere', "Unknown command line flag 'clisp'. Did you mean: clips"),
    ('--least_codec_motion=0.1', '--least_codec_motion was renamed: write --min_codec_motion\n'),
    ('--timeout=0.5', 'flag --timeout=0.5: must be a number, at least 1; inf is no limit'),
    ('--timeout=nan', 'flag --timeout=nan: must be a number'),
    ('--workers=two', 'flag --workers=two: '),
    ('--flow=hs', 'flag --flow=hs: must be one of dis'),
    ('--output=', 'flag --output=: must be text'),
])
def test_a_bad_flag_is_one_line_and_code_2(capsys, word, message):
    with flagsaver.flagsaver(), pytest.raises(SystemExit) as stop:
        program.parse(['score', word])
    err = capsys.readouterr().err
    assert stop.value.code == 2 and err.startswith(f'error: {message}') and err.count('\n') == 1


def test_empty_texts_are_none_and_no_limit_of_time_is_a_limit():
    with flagsaver.flagsaver():
        program.parse(['score', '--niqe=', '--store=', '--tool=', '--scratch=', '--clips=', '--scores=', '--beam=', '--timeout=inf'])
        config = program.command()
    assert (config.niqe, config.store, config.tool, config.scratch, config.clips) == (None,) * 5
    assert config.scores == () and config.beam == '' and config.timeout == float('inf')
    assert config.settings.version == VERSION and config.store_path == 'scores.parquet.store'


def test_an_argument_is_no_flag(capsys):
    with pytest.raises(SystemExit) as stop:
        program.parse(['score', '/nowhere'])
    message = "error: '/nowhere' is no flag: flags are written --name=value; --help lists them\n"
    assert stop.value.code == 2 and capsys.readouterr().err == message
