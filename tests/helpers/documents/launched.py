"""Launch files of the shipped config with other values, and programs that stand in for gcloud, srun and the like."""
import pathlib
import runpy
import shlex
import subprocess

from tqd_jax.launching.checks import check_launch
from tqd_jax.launching.config import Launch
from tqd_jax.launching.render import render
from transfer_jax.runtime.config import instance, override

ROOT = pathlib.Path(__file__).parents[3]
CLOUD = {'google.cluster': 'mine', 'code.source': None, 'code.image': 'us-docker.pkg.dev/p/r/tqd:1', 'place': 'gke'}
OWN = {'code.copies': (), 'code.source': '/shared/tqd', 'job.workdir': '/shared/run', 'code.install': "uv pip install '.[gpu]'"}
CASES = {  # what a user asks for: the keys that say it
    'one host now': {'place': 'tpu_vm', 'chip': 'v5litepod-8', 'provision': 'on-demand'},
    'several hosts now': {'place': 'tpu_vm', 'chip': 'v5p-32', 'google.options': ('--network=mine', '--internal-ips')},
    'an image': {'place': 'queued', 'code.source': None, 'code.image': 'us-docker.pkg.dev/p/r/tqd:1'},
    'queued': {},
    'queued for a day, two slices': {'provision': 'flex-start', 'slices': 2, 'google.service_account': 'me@p.iam.gserviceaccount.com'},
    'group of one': {'place': 'mig'},
    'group of four': {'place': 'mig', 'chip': 'v5p-32'},
    'group of Ironwood': {'place': 'mig', 'chip': 'tpu7x-16', 'provision': 'flex-start'},
    'pods of two slices': CLOUD | {'chip': 'v6e-16', 'slices': 2, 'google.kubernetes_account': 'trainer'},
    'a pod': CLOUD | {'chip': 'v5litepod-1', 'provision': 'on-demand', 'code.copies': ()},
    'pods of Ironwood': CLOUD | {'chip': 'tpu7x-32', 'provision': 'flex-start'},
    'SLURM': OWN | {'place': 'slurm', 'chip': 'h100-8', 'slices': 2, 'slurm.partition': 'gpu', 'slurm.options': ('--account=mine',)},
    'Colab TPU': {'place': 'colab', 'chip': 'v5litepod-1', 'code.source': 'https://host/tqd.git'},
    'Colab T4': OWN | {'place': 'colab', 'chip': 't4-1', 'job.workdir': '/content/drive/MyDrive/run'},
}
SEPARATOR = '\x1f'  # between a call's words
ODD = ('data.buckets=((832, 480, 81),)', 'data.cache=gs://b/it\'s "$HOME" `x`; # & \\ {{ 1 }}')  # values that a shell would take apart


def launch(**changes):
    """The shipped config with other values by dotted key."""
    return override(instance(Launch, runpy.run_path(str(ROOT / 'configs/launch.py'))['get_config']()), changes)


def files(changes):
    """{name: text} of the files that a checked config asks for."""
    config = launch(**changes)
    check_launch(config)
    return render(config)


def inner(text, name):
    """The file that a script writes by `cat > name <<'END'`."""
    return text.split(f"cat > {name} <<'END'\n")[1].split('\nEND\n')[0] + '\n'


def stand_in(folder, name, body):
    """A program of bash on the path of `run`, which may note its words in the file calls by `note`: a call of less than 8 KiB is one
    write, since several of the programs may run at once."""
    folder.mkdir(exist_ok=True)
    path = folder / name
    path.write_text(f'#!/bin/bash\nnote() {{ local line; printf -v line "%s{SEPARATOR}" "${{0##*/}}" "$@"; '
                    f'echo "$line" >> {shlex.quote(str(folder))}/calls; }}\n{body}\n')
    path.chmod(0o755)


def calls(folder):
    """The words of every call that a stand-in noted."""
    path = folder / 'calls'
    return [line.split(SEPARATOR)[:-1] for line in path.read_text().split('\n')[:-1]] if path.exists() else []


def run(folder, words, **variables):
    """Runs a program that sees the stand-ins first; its CompletedProcess."""
    environment = {'PATH': f'{folder}:/usr/bin:/bin', 'HOME': str(folder), **variables}
    return subprocess.run(words, env=environment, capture_output=True, text=True, timeout=60, cwd=folder)
