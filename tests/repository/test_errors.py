"""A program ends with one line and code 2 for what its user did wrong, and with a traceback for a bug; every command of a file does."""
import subprocess
import sys

import pytest

from transfer_jax.runtime.errors import UserError, errors_in_one_line


@pytest.mark.parametrize(('also', 'error', 'text'), [
    ((), UserError('key a is 3: give 2'), 'error: key a is 3: give 2\n'),
    ((OSError,), FileNotFoundError(2, 'No such file', 'a.json'), "error: [Errno 2] No such file: 'a.json'\n")])
def test_the_users_error_is_one_line(also, error, text, capsys):
    with pytest.raises(SystemExit) as end, errors_in_one_line(*also):
        raise error
    assert end.value.code == 2 and capsys.readouterr() == ('', text)


def test_a_bug_stays_a_bug(capsys):
    with pytest.raises(FileNotFoundError), errors_in_one_line():
        raise FileNotFoundError
    assert capsys.readouterr() == ('', '')


@pytest.mark.parametrize(('module', 'words'), [
    ('tqd_jax.shipped.publish', ('absent', 'tiny')), ('tqd_jax.shipped.start', ('file',)),
    ('tqd_jax.pretrain_vae', ('--workdir=file', '--out=out'))])
def test_a_command_of_the_package_says_what_is_wrong_in_one_line(module, words, tmp_path):
    (tmp_path / 'file').touch()
    process = subprocess.run([sys.executable, '-m', module, *words], cwd=tmp_path, capture_output=True, text=True)
    assert (process.returncode, process.stdout) == (2, '') and process.stderr.startswith('error: ') and process.stderr.count('\n') == 1
    assert words[0].split('=')[-1] in process.stderr
