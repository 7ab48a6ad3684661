"""What compiling a program says of its memory, kept on disk: no program is compiled twice."""
import dataclasses
import functools
import hashlib
import importlib.metadata
import json
import pathlib
import re
import threading
import time
from collections import Counter
from collections.abc import Callable

import jax

from tqd_jax.planning.topology import Topology
from transfer_jax.runtime.errors import UserError
from transfer_jax.runtime.files import write_atomically
from transfer_jax.runtime.parallel.compiled import lacking, memory_of_program

GIB = 2**30
# of a TPU's compiler: no search for the fastest code. A step of 1.3B compiles in 47 s in place of 330 and needs as much memory (12.53 GiB,
# the peak 9.31 in place of 9.38), a convolution of the VAE in 2 s in place of 14
QUICK = {'exec_time_optimization_effort': -1.0}
COLLECTIVES = re.compile(r'= \S+ (all-gather|all-reduce|reduce-scatter|all-to-all|collective-permute)(?:-start)?\(')
SOURCES = ('tqd_jax/models', 'tqd_jax/diffusion', 'tqd_jax/latents', 'tqd_jax/text', 'tqd_jax/timesteps', 'tqd_jax/training',
           'transfer_jax/runtime/parallel')  # what programs are made of
PACKAGES = ('jax', 'jaxlib', 'flax', 'optax', 'libtpu')


@dataclasses.dataclass(frozen=True, kw_only=True)
class Memory:
    """GiB a device that a program needs.

    arguments; temporaries, all that the compiler lays out for them; results that take no argument's place; whole: the three together;
    peak: of what lives at once. refused: the compiler found no room; whole is then what it asked for, and the rest is 0. collectives: how
    many the compiled text has, by kind (one in a loop counts once). seconds: of compiling.
    """
    arguments: float
    temporaries: float
    results: float
    whole: float
    peak: float
    refused: bool = False
    collectives: dict = dataclasses.field(default_factory=dict)
    seconds: int = 0


def options_of(topology: Topology) -> dict | None:
    """Of the compiler for a topology."""
    return QUICK if topology.chip.platform == 'tpu' else None


def measure(lowered: jax.stages.Lowered, options: dict | None = None) -> Memory:
    """Compiles a program; options: of the compiler."""
    start = time.perf_counter()
    try:
        program = lowered.compile(options)
    except jax.errors.JaxRuntimeError as error:
        refused = lacking(str(error))
        if refused is None:
            raise
        return Memory(arguments=0.0, temporaries=0.0, results=0.0, whole=round(refused[0], 3), peak=0.0, refused=True,
                      seconds=round(time.perf_counter() - start))
    return dataclasses.replace(_memory(program), seconds=round(time.perf_counter() - start))


def _memory(program):
    sizes = memory_of_program(program)
    if sizes is None:
        raise UserError('the compiler of this platform does not say how much memory a program needs, so nothing can be planned for it: '
                        'another version of jaxlib, or of the plug-in of the platform, may')
    parts = {'arguments': sizes.argument_size_in_bytes, 'temporaries': sizes.temp_size_in_bytes,
             'results': sizes.output_size_in_bytes - sizes.alias_size_in_bytes}
    sizes = parts | {'whole': sum(parts.values()), 'peak': sizes.peak_memory_in_bytes}
    return Memory(**{name: round(size / GIB, 3) for name, size in sizes.items()},
                  collectives=dict(sorted(Counter(COLLECTIVES.findall(program.as_text())).items())))


@dataclasses.dataclass(frozen=True)
class Kept:
    """Memories in a folder, one file a program."""
    folder: pathlib.Path

    def get(self, parts: dict, lower: Callable[[], jax.stages.Lowered], options: dict | None = None) -> Memory:
        """The Memory of the program that `parts` (JSON) describes: as it is in the folder, else by compiling what lower() returns.

        Ctrl-C is answered while the compiler works: KeyboardInterrupt.
        """
        if (found := self.find(parts)) is not None:
            return found
        memory = interruptible(lambda: measure(lower(), options))
        self.folder.mkdir(parents=True, exist_ok=True)
        text = json.dumps({'memory': dataclasses.asdict(memory), 'program': parts, 'versions': versions()}, indent=1)
        write_atomically(self._path(parts), (text + '\n').encode())
        return memory

    def find(self, parts: dict) -> Memory | None:
        """The Memory of a program that is in the folder, else None."""
        path = self._path(parts)
        return Memory(**json.loads(path.read_text())['memory']) if path.is_file() else None

    def _path(self, parts):
        text = json.dumps([parts, versions()], sort_keys=True)
        return self.folder / f'{parts["program"]}-{hashlib.sha256(text.encode()).hexdigest()[:16]}.json'


def interruptible(function: Callable):
    """function(), called in a thread, so that Ctrl-C does not wait for the end of a call into the compiler."""
    outcome = {}

    def call():
        try:
            outcome['value'] = function()
        except BaseException as error:
            outcome['error'] = error

    thread = threading.Thread(target=call, daemon=True)
    thread.start()
    while thread.is_alive():
        thread.join(0.1)
    if 'error' in outcome:
        raise outcome['error']
    return outcome['value']


@functools.cache
def versions() -> dict:
    """The packages that a compiled program depends on, with a hash of the modules here that it is made of."""
    found = {}
    for name in PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found[name] = None
    digest, root = hashlib.sha256(), pathlib.Path(__file__).parents[2]
    for path in sorted(path for folder in SOURCES for path in (root / folder).rglob('*.py')):
        digest.update(path.read_bytes())
    return {**found, 'sources': digest.hexdigest()[:16]}
