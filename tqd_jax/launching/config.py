"""Every key of launch files: its default, rule and meaning.

`python -m tqd_jax.launching.config` prints them as Markdown tables, the end of docs/launch.md.
"""
import dataclasses
import re

from transfer_jax.runtime.config import Rule, boolean, choice, describe, integer, key, optional, section, sequence

PLACES = ('tpu_vm', 'queued', 'mig', 'gke', 'slurm', 'colab')
GOOGLE = ('tpu_vm', 'queued', 'mig', 'gke')  # machines that are deleted when the job is done
PROVISION = ('on-demand', 'spot', 'flex-start')
PROGRAMS = ('main', 'encode')


def matching(pattern, allowed):
    """A rule of text of one line that matches the whole pattern; what stands in a directive or a name cannot be quoted there."""
    return Rule(allowed=allowed, plain=True, accepts=lambda value: isinstance(value, str) and re.fullmatch(pattern, value) is not None)


def line():
    """A rule of text of one line, without control characters: a shell gets it quoted."""
    return Rule(allowed='text of one line', plain=True,
                accepts=lambda value: isinstance(value, str) and value != '' and value.isprintable())


def words(rule, example):
    """A rule of a tuple of any number of texts."""
    return sequence(rule, empty=True, example=example)


NAME = matching(r'[a-z]([a-z0-9-]{0,38}[a-z0-9])?', 'lower-case letters, digits and -, 40 at most, a letter first')
BUCKET = matching(r'gs://[a-z0-9][\w./=+-]*', 'a place in a bucket, as gs://BUCKET/PATH')
FLAG = matching(r'--[a-z][a-z-]*(=\S+)?', 'a flag, as in --network=NAME')


@dataclasses.dataclass(frozen=True, kw_only=True)
class Job:
    """The command that runs there."""
    program: str = key('main', choice(*PROGRAMS), 'of tqd_jax: main trains, encode fills a cache')
    mode: str = key('train', choice('train', 'score', 'sample', 'eval', 'align', 'learn'), 'of main')
    config: str = key('configs/wan.py', line(), 'the config file, by its path in the project; it is read here and there')
    overrides: tuple = key((), words(line(), "('train.steps=5000', 'data.cache=cache')"), 'keys with other values, without --config.')
    workdir: str = key('gs://my-bucket/runs/lora', line(), 'where main keeps the run, or encode its cache; on Google Cloud gs://')


@dataclasses.dataclass(frozen=True, kw_only=True)
class Code:
    """How the package and its data come to the machines."""
    source: str | None = key(None, optional(line()), 'the project: gs://BUCKET/FILE.tar.gz as git archive writes it; its folder on the '
                             'cluster (slurm); an address of git clone, or a folder (colab)')
    install: str = key("uv pip install '.[tpu,cloud]'", line(), 'the pip line, run in the project; on SLURM it is run before the '
                       'job, by you')
    image: str | None = key(None, optional(matching(r'[a-z0-9][\w.:/@-]*', 'the name of a container image')),
                            'in place of source and install: an image with the project in /project')
    copies: tuple = key((), words(sequence(line(), length=2), "(('gs://BUCKET/wan', 'wan'),)"),
                        'folders of a bucket that every host copies beside the project before it starts, such as weights')


@dataclasses.dataclass(frozen=True, kw_only=True)
class Google:
    """Google Cloud: whose, where, and how machines are made."""
    project: str | None = key(None, optional(matching(r'[a-z][a-z0-9:.-]+', 'the id of a project')), 'who pays')
    zone: str | None = key(None, optional(matching(r'[a-z]+(-[a-z0-9]+)+-[a-z0-9]+', 'a zone, as in us-east5-b')), 'where the chips are')
    service_account: str | None = key(None, optional(matching(r'[\w.-]+@[\w.-]+', 'an e-mail address')),
                                      'who the machines are; None: the default one of Compute Engine')
    kubernetes_account: str | None = key(None, optional(NAME), 'gke: the account of the pods, which may read and write the bucket')
    cluster: str | None = key(None, optional(NAME), 'gke: the cluster')
    disk_gb: int = key(200, integer(at_least=50), 'mig: of the boot disk, which also holds the copies')
    options: tuple = key((), words(FLAG, "('--network=mine', '--internal-ips')"), 'further flags of the command that makes the machines')


@dataclasses.dataclass(frozen=True, kw_only=True)
class Slurm:
    """A cluster with SLURM."""
    partition: str | None = key(None, optional(matching(r'[\w.,-]+', 'names of partitions')), 'None: the default one')
    cpus: int = key(8, integer(at_least=1), 'cores of every process, of which there is one a GPU')
    options: tuple = key((), words(FLAG, "('--account=mine',)"), 'further #SBATCH lines')


@dataclasses.dataclass(frozen=True, kw_only=True)
class Launch:
    """What runs where, and how it goes on after an interruption."""
    name: str = key('tqd', NAME, 'of the machines and of the job')
    place: str = key('queued', choice(*PLACES), 'tpu_vm: machines now, or an error; queued: machines when there are some; mig: a managed '
                     'instance group; gke: a JobSet; slurm; colab')
    chip: str = key('v6e-8', matching(r'[a-z0-9]+-[1-9]\d{0,4}', 'as in v6e-8, v5p-32, v5litepod-1, tpu7x-8, h100-8, t4-1'),
                    'kind and size as Google names them: v5p and tpu7x count two for a chip; of a GPU, how many a node')
    slices: int = key(1, integer(at_least=1), 'slices of a TPU that train together; on SLURM nodes')
    provision: str = key('on-demand', choice(*PROVISION), 'spot: cheaper, may be taken away at any moment; flex-start: waits, and stays '
                         'for `hours`')
    hours: int = key(24, integer(at_least=1, at_most=168), 'flex-start and SLURM: how long machines stay at most')
    restarts: int = key(10, integer(at_least=1), 'how often a command that failed is started again')
    flags: bool = key(True, boolean(), 'set the compiler\'s flags for the chip (tqd_jax/launching/flags.py)')
    job: Job = section(Job)
    code: Code = section(Code)
    google: Google = section(Google)
    slurm: Slurm = section(Slurm)


if __name__ == '__main__':
    print(describe(Launch))
