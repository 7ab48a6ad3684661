"""Scripts of launch files: right shell, words that gcloud documents, and what they do when run with programs that stand in for it."""
import ast
import json
import re
import shutil
import subprocess

import launched
import pytest

SCRIPTS = [(case, name) for case, changes in launched.CASES.items() for name in launched.files(changes)
           if name.endswith(('.sh', '.sbatch'))]
CREATE = '--project --zone --scopes --service-account --spot --network --internal-ips'
FLAGS = {  # the flags of gcloud's commands that these files use, as its reference lists them
    'compute tpus tpu-vm create': f'{CREATE} --accelerator-type --version',
    'compute tpus tpu-vm describe': '--project --zone --format',
    'compute tpus tpu-vm delete': '--project --zone --quiet',
    'compute tpus tpu-vm scp': '--project --zone --worker',
    'compute tpus tpu-vm ssh': '--project --zone --worker --command',
    'compute tpus queued-resources create': f'{CREATE} --accelerator-type --runtime-version --node-id --node-count --node-prefix',
    'alpha compute tpus queued-resources create': f'{CREATE} --accelerator-type --runtime-version --node-id --node-count --node-prefix '
                                                  '--provisioning-model --max-run-duration',
    'compute tpus queued-resources describe': '--project --zone --format',
    'compute tpus queued-resources delete': '--project --zone --force --quiet',
    'compute resource-policies create workload-policy': '--project --region --type --accelerator-topology --accelerator-topology-mode',
    'compute resource-policies delete': '--project --region --quiet',
    'compute instance-templates create': '--project --instance-template-region --machine-type --image-project --image-family '
    '--boot-disk-size --maintenance-policy --provisioning-model --instance-termination-action --max-run-duration --reservation-affinity '
    '--service-account --scopes --metadata-from-file',
    'compute instance-templates delete': '--project --region --quiet',
    'compute instance-groups managed create': '--project --zone --size --template --workload-policy --target-size-policy-mode '
                                              '--default-action-on-vm-failure',
    'compute instance-groups managed resize': '--project --zone --size',
    'compute instance-groups managed delete': '--project --zone --quiet',
    'compute instance-groups managed list-instances': '--project --zone --format',
    'compute ssh': '--project --zone --command',
    'container node-pools create': '--project --cluster --location --node-locations --machine-type --num-nodes --tpu-topology '
    '--placement-policy --spot --flex-start --enable-autoscaling --min-nodes --max-nodes --reservation-affinity --no-enable-autorepair '
    '--max-run-duration --service-account --scopes',
    'container node-pools delete': '--project --cluster --location --quiet',
}


@pytest.fixture(scope='module')
def written(tmp_path_factory):
    """A folder with every script, those too that a script writes."""
    folder = tmp_path_factory.mktemp('scripts')
    for case, name in SCRIPTS:
        text = launched.files(launched.CASES[case])[name]
        (folder / f'{case} {name}').write_text(text)
        if name == 'host.sh':
            (folder / f'{case} run.sh').write_text(launched.inner(text, 'run.sh'))
    return folder


def test_scripts_are_right_shell(written):
    for path in written.iterdir():
        done = subprocess.run(['bash', '-n', path], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr


def test_shellcheck_finds_nothing(written):
    checker = shutil.which('shellcheck')
    if checker is None:
        pytest.skip('shellcheck is not installed')
    done = subprocess.run([checker, '--severity=warning', *written.iterdir()], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(('case', 'name'), [(case, name) for case, name in SCRIPTS if name in ('slice.sh', 'group.sh', 'cluster.sh')])
def test_actions_call_gcloud_as_its_reference_says(case, name, tmp_path):
    (tmp_path / name).write_text(launched.files(launched.CASES[case])[name])
    for program in ('gcloud', 'kubectl'):
        launched.stand_in(tmp_path / 'bin', program, 'note "$@"; case "$*" in *list-instances*) echo HOST ;; esac')
    usage = launched.run(tmp_path / 'bin', ['bash', tmp_path / name])
    actions = re.findall(r'\.sh (\w+) ', usage.stdout)
    assert {'create', 'watch', 'stop', 'delete'} <= set(actions)
    for action in actions:
        if action != 'keep':
            done = launched.run(tmp_path / 'bin', ['bash', tmp_path / name, action])
            assert done.returncode == 0, done.stderr
    noted = [words for words in launched.calls(tmp_path / 'bin') if words[0] == 'gcloud']
    assert noted
    for _, *words in noted:
        start = next((start for start in FLAGS if words[:len(start.split())] == start.split()), None)
        assert start, words
        flags = {word.split('=')[0] for word in words if word.startswith('-')}
        assert flags <= set(FLAGS[start].split()), words
        assert {'--project'} <= flags and '' not in words


def test_spot_machines_that_are_taken_away_are_asked_for_again(tmp_path):
    """The states of a queued resource, one a look: none, there, taken away, deleted, there again, and then the job has ended."""
    text = launched.files({})['slice.sh']
    (tmp_path / 'slice.sh').write_text(text)
    states = ['NONE', 'ACTIVE', 'SUSPENDED', 'NONE', 'PROVISIONING', 'ACTIVE', 'ACTIVE']
    (tmp_path / 'states').write_text('\n'.join(states) + '\n')
    launched.stand_in(tmp_path / 'bin', 'sleep', '')
    launched.stand_in(tmp_path / 'bin', 'gcloud', f'''note "$@"
case "$*" in
  *"queued-resources describe"*) head -n 1 {tmp_path}/states; sed -i 1d {tmp_path}/states ;;
  *"systemctl show"*) if [ -s {tmp_path}/states ]; then echo active; else echo inactive; fi ;;
esac''')
    done = launched.run(tmp_path / 'bin', ['bash', tmp_path / 'slice.sh', 'keep'])
    assert done.returncode == 0 and 'has ended' in done.stdout, done.stdout + done.stderr
    verbs = [words[4] for words in launched.calls(tmp_path / 'bin') if words[3] == 'queued-resources' and words[4] != 'describe']
    assert verbs == ['create', 'delete', 'create']
    assert len([words for words in launched.calls(tmp_path / 'bin') if '--command=sudo bash host.sh' in words]) == 2


@pytest.mark.parametrize(('case', 'endpoints', 'joined'), [
    ('queued', None, []),
    ('group of one', None, ['--processes=1']),
    ('group of four', 'a,b,HOST,d', ['--coordinator=a:8482', '--processes=4', '--process=2']),
    ('group of four', 'u:u:10.0.0.9,u:u:10.0.0.8,u:u:10.0.0.7,u:u:10.0.0.6',
     ['--coordinator=10.0.0.9:8482', '--processes=4', '--process=3'])])
def test_a_host_runs_the_command_with_the_number_that_it_has(case, endpoints, joined, tmp_path):
    """Its words come through the shell whole."""
    text = launched.inner(launched.files(launched.CASES[case] | {'job.overrides': launched.ODD})['host.sh'], 'run.sh')
    launched.stand_in(tmp_path / 'bin', 'curl', f'echo {endpoints}')
    launched.stand_in(tmp_path / 'bin', 'hostname', '[ "$1" = -s ] && echo HOST || echo "10.0.0.6 172.17.0.1"')
    launched.stand_in(tmp_path / 'bin', 'python', 'note "$@"; printenv LIBTPU_INIT_ARGS')
    (tmp_path / 'run.sh').write_text(text.replace('/opt/wan-lora/venv/bin/', '').replace('cd /opt/wan-lora/project', ''))
    done = launched.run(tmp_path / 'bin', ['bash', tmp_path / 'run.sh'])
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith('--xla_tpu_scoped_vmem_limit_kib=')
    assert launched.calls(tmp_path / 'bin') == [['python', '-m', 'tqd_jax.main', '--config=configs/wan.py',
                                                 '--workdir=gs://my-bucket/runs/lora',
                                                 *(f'--config.{word}' for word in launched.ODD), *joined]]


def test_a_group_that_is_not_whole_does_not_start_alone(tmp_path):
    text = launched.inner(launched.files(launched.CASES['group of four'])['host.sh'], 'run.sh')
    launched.stand_in(tmp_path / 'bin', 'curl', 'echo a,HOST')
    (tmp_path / 'run.sh').write_text(text)
    done = launched.run(tmp_path / 'bin', ['bash', tmp_path / 'run.sh'])
    assert done.returncode == 1 and 'not all 4 hosts' in done.stdout


JOB = {'works': 'exit 0', 'fails': 'exit 3',
       'is stopped': 'trap "exit 0" TERM; kill -TERM $PPID; for _ in $(seq 100); do sleep 0.05; done; exit 9'}


@pytest.mark.parametrize(('job', 'restarts', 'code', 'again'), [
    ('works', 0, 0, False), ('fails', 0, 3, True), ('fails', 10, 3, False), ('is stopped', 0, None, True), ('is stopped', 99, None, True)])
def test_a_batch_job_waits_in_the_queue_again_unless_it_is_done(job, restarts, code, again, tmp_path):
    changes = launched.CASES['SLURM'] | {'code.source': str(tmp_path), 'job.overrides': launched.ODD}
    (tmp_path / 'job.sbatch').write_text(launched.files(changes)['job.sbatch'])
    launched.stand_in(tmp_path / 'bin', 'srun', f'note "$@"; {JOB[job]}')
    launched.stand_in(tmp_path / 'bin', 'scontrol', 'note "$@"')
    (tmp_path / '.venv/bin').mkdir(parents=True)
    (tmp_path / '.venv/bin/activate').write_text('')
    done = launched.run(tmp_path / 'bin', ['bash', tmp_path / 'job.sbatch'], SLURM_JOB_ID='7', SLURM_RESTART_COUNT=str(restarts))
    assert code is None or done.returncode == code, done.stderr
    step, *after = launched.calls(tmp_path / 'bin')
    assert step[-2:] == [f'--config.{word}' for word in launched.ODD]
    assert after == ([['scontrol', 'requeue', '7']] if again else [])


def test_directives_of_sbatch():
    lines = launched.files(launched.CASES['SLURM'])['job.sbatch'].splitlines()
    directives = dict(line.removeprefix('#SBATCH --').partition('=')[::2] for line in lines if line.startswith('#SBATCH'))
    assert directives == {
        'job-name': 'wan-lora', 'nodes': '2', 'ntasks-per-node': '8', 'gpus-per-node': '8', 'cpus-per-task': '8', 'time': '24:00:00',
        'partition': 'gpu', 'requeue': '', 'signal': 'B:TERM@120', 'open-mode': 'append', 'output': 'wan-lora-%j.log', 'account': 'mine'}
    first = next(number for number, line in enumerate(lines) if line and not line.startswith('#'))
    assert not [line for line in lines[first:] if line.startswith('#SBATCH')]


def test_a_service_is_stopped_by_sigterm_and_before_the_network():
    unit = launched.inner(launched.files({'restarts': 4})['host.sh'], '/etc/systemd/system/wan-lora.service')
    keys = dict(line.split('=', 1) for line in unit.splitlines() if '=' in line)
    assert keys['ExecStart'] == '/opt/wan-lora/run.sh' and keys['Restart'] == 'on-failure' and keys['StartLimitBurst'] == '5'
    assert keys['KillMode'] == 'mixed' and keys['After'] == 'network-online.target' and keys['LimitMEMLOCK'] == 'infinity'
    assert 'KillSignal' not in keys  # SIGTERM


def test_a_notebook_is_one_and_runs_the_command_alone():
    nbformat = pytest.importorskip('nbformat')
    for case in ('Colab TPU', 'Colab T4'):
        text = launched.files(launched.CASES[case] | {'job.overrides': launched.ODD})['job.ipynb']
        nbformat.validate(nbformat.reads(text, 4))
        code = [''.join(cell['source']) for cell in json.loads(text)['cells'] if cell['cell_type'] == 'code']
        for cell in code:
            compile(cell, case, 'exec')
        words = ast.literal_eval(re.search(r'^COMMAND = (.*)$', code[-1], re.MULTILINE)[1])
        assert words[-3:] == [*(f'--config.{word}' for word in launched.ODD), '--processes=1']


@pytest.mark.parametrize(('changes', 'opened'), [
    ({'job.workdir': 'gs://b/run'}, ['auth']), ({'job.workdir': '/content/drive/MyDrive/run'}, ['drive']), ({}, []),
    ({'code.source': '/content/drive/MyDrive/tqd', 'job.overrides': ('data.cache=gs://b/cache',)}, ['auth', 'drive']),
    ({'job.workdir': '/content/drive/MyDrive/run', 'code.copies': (('gs://b/w', 'w'),)}, ['auth', 'drive'])])
def test_a_notebook_opens_the_bucket_and_the_drive_that_it_names(changes, opened):
    text = launched.files(launched.CASES['Colab T4'] | {'job.workdir': '/content/run', 'job.overrides': ()} | changes)['job.ipynb']
    first = ''.join(next(cell['source'] for cell in json.loads(text)['cells'] if cell['cell_type'] == 'code'))
    assert re.findall(r'from google.colab import (\w+)', first) == opened
