"""The JobSet: fields that JobSet and GKE know, and how a pod ends."""
import jsonschema
import launched
import pytest

yaml = pytest.importorskip('yaml')
WHOLE = {'type': 'integer', 'minimum': 1}


def fields(required, optional=None):
    """A schema of an object that has these fields and no other."""
    return {'type': 'object', 'properties': {**required, **(optional or {})}, 'required': list(required), 'additionalProperties': False}


TEXTS = {'type': 'object', 'additionalProperties': {'type': 'string'}}
TPU = fields({'google.com/tpu': WHOLE})
MOUNTS = {'type': 'array', 'items': fields({'name': {'type': 'string'}, 'mountPath': {'pattern': '^/'}}, {'subPath': {'type': 'string'}})}
POD = fields(
    {'restartPolicy': {'const': 'Never'},  # podFailurePolicy asks for it
     'terminationGracePeriodSeconds': WHOLE,
     'nodeSelector': {'type': 'object', 'required': ['cloud.google.com/gke-tpu-accelerator', 'cloud.google.com/gke-tpu-topology'],
                      'additionalProperties': {'type': 'string'}},
     'tolerations': {'type': 'array', 'items': fields({'key': {'type': 'string'}, 'operator': {'enum': ['Exists', 'Equal']},
                                                       'effect': {'const': 'NoSchedule'}}, {'value': {'type': 'string'}})},
     'containers': {'type': 'array', 'minItems': 1, 'maxItems': 1, 'items': fields(
         {'name': {'const': 'job'}, 'image': {'type': 'string'}, 'command': {'const': ['bash', '-uc']}, 'workingDir': {'const': '/project'},
          'args': {'minItems': 1, 'maxItems': 1}, 'ports': {'type': 'array', 'items': fields({'containerPort': WHOLE})},
          'resources': fields({'requests': TPU, 'limits': TPU}), 'volumeMounts': MOUNTS},
         {'env': {'type': 'array', 'items': fields({'name': {'type': 'string'}, 'value': {'type': 'string'}})}})},
     'volumes': {'type': 'array', 'items': fields({'name': {'type': 'string'}, 'emptyDir': {'type': 'object'}})}},
    {'initContainers': {'type': 'array', 'items': fields({'name': {}, 'image': {}, 'command': {}, 'args': {}, 'volumeMounts': MOUNTS})},
     'serviceAccountName': {'type': 'string'}})
JOB = fields({
    'parallelism': WHOLE, 'completions': WHOLE, 'completionMode': {'const': 'Indexed'}, 'backoffLimit': {'const': 0},
    'podFailurePolicy': {'const': {'rules': [{'action': 'FailJob', 'onPodConditions': [{'type': 'DisruptionTarget'}]}]}},
    'template': fields({'spec': POD})})
JOBSET = fields({
    'apiVersion': {'const': 'jobset.x-k8s.io/v1alpha2'}, 'kind': {'const': 'JobSet'},
    'metadata': fields({'name': {'type': 'string', 'pattern': '^[a-z]'}}, {'annotations': TEXTS}),
    'spec': fields({
        'network': fields({'enableDNSHostnames': {'const': True}, 'publishNotReadyAddresses': {'const': True},
                           'subdomain': {'type': 'string'}}),
        'failurePolicy': fields({'maxRestarts': WHOLE, 'rules': {'const': [
            {'name': 'preempted', 'action': 'RestartJobSetAndIgnoreMaxRestarts', 'onJobFailureReasons': ['PodFailurePolicy']}]}}),
        'replicatedJobs': {'type': 'array', 'minItems': 1, 'maxItems': 1, 'items': fields(
            {'name': {'const': 'slice'}, 'replicas': WHOLE, 'template': fields({'spec': JOB})})}})})
CASES = [case for case, changes in launched.CASES.items() if changes.get('place') == 'gke']


def jobset(changes):
    """The parsed file."""
    return yaml.safe_load(launched.files(changes)['jobset.yaml'])


@pytest.mark.parametrize('case', CASES)
@pytest.mark.parametrize('name', ['wan-lora', 'on', 'null'])  # words that YAML would take for something else
def test_it_has_the_fields_of_a_jobset(case, name):
    made = jobset(launched.CASES[case] | {'name': name})
    jsonschema.validate(made, JOBSET)
    assert made['metadata']['name'] == made['spec']['network']['subdomain'] == name


def test_pods_are_as_many_as_nodes_and_ask_for_their_chips():
    made = jobset(launched.CASES['pods of two slices'])
    slices, = made['spec']['replicatedJobs']
    job, pod = slices['template']['spec'], slices['template']['spec']['template']['spec']
    assert (slices['replicas'], job['parallelism'], job['completions']) == (2, 4, 4)
    assert pod['nodeSelector'] == {'cloud.google.com/gke-tpu-accelerator': 'tpu-v6e-slice', 'cloud.google.com/gke-tpu-topology': '4x4',
                                   'cloud.google.com/gke-spot': 'true'}
    assert pod['containers'][0]['resources']['limits'] == {'google.com/tpu': 4}
    assert made['metadata']['annotations'] == {'alpha.jobset.sigs.k8s.io/exclusive-topology': 'cloud.google.com/gke-nodepool'}
    mounts, volumes = ({one['name'] for one in pod['containers'][0]['volumeMounts']}, {one['name'] for one in pod['volumes']})
    assert mounts == volumes


@pytest.mark.parametrize(('job', 'code'), [
    ('exit 0', 0), ('exit 3', 3), ('trap "exit 0" TERM; kill -TERM $PPID; for _ in $(seq 100); do sleep 0.05; done; exit 9', 143)])
def test_a_pod_that_is_stopped_saves_and_ends_as_failed(job, code, tmp_path):
    """So that JobSet starts it again: the command's own code is 0 when it has saved."""
    made = jobset(launched.CASES['a pod'] | {'job.overrides': launched.ODD})
    container, = made['spec']['replicatedJobs'][0]['template']['spec']['template']['spec']['containers']
    launched.stand_in(tmp_path / 'bin', 'python', f'note "$@"; {job}')
    done = launched.run(tmp_path / 'bin', [*container['command'], *container['args']])
    assert done.returncode == code, done.stderr
    assert launched.calls(tmp_path / 'bin')[0][-2:] == [f'--config.{word}' for word in launched.ODD]
