"""What a config needs and takes on chips that are not here: memory by compiling its programs for them, time from a table of their rates.

    python -m tqd_jax.plan --config=configs/wan.py --topology=v5e:1x1,v6e:2x4,v5p:2x2x1 [--price=1.2] [--output=runs/plan]
    python -m tqd_jax.plan --config=configs/wan.py --gpu-memory=80

No weights, clips or cache are needed, and no TPU: `pip install -e '.[tpu]'` brings the compiler. The command compiles the config's own
training step from the fastest way to lay it over the chips on (mesh, recomputation, slices of the batch), until one fits. A program takes
minutes to compile and is compiled once: what was found stays in OUTPUT/compiled, also after Ctrl-C. OUTPUT gets

    plan.json           all that was found
    plan.png, plan.svg  memory and time by part
    plan.html           both, and the table
    compiled/           what the compiler said of each program
"""
import os
import sys

from absl import flags

from tqd_jax.config import Config
from tqd_jax.planning.answer import PROGRAMS, answer
from tqd_jax.planning.page import write_all
from tqd_jax.planning.table import lines
from tqd_jax.planning.topology import prepare_jax, read_topologies
from transfer_jax.runtime.app import define_flags, run_app
from transfer_jax.runtime.errors import UserError
from transfer_jax.runtime.folder.home import local_path
from transfer_jax.runtime.job import unwritable


def main(config, topology, gpu_memory, price, mfu, programs, output):
    """Plans a checked config for every topology, and prints and writes what was found."""
    folder, found = local_path(output), read_topologies(topology, gpu_memory)
    check(price, mfu, programs)
    prepare_jax(found)
    with unwritable(folder):
        folder.mkdir(parents=True, exist_ok=True)
        try:
            answers = [answer(config, one, folder / 'compiled', programs=programs, mfu=mfu, say=say) for one in found]
        except KeyboardInterrupt:
            say(f'stopped; what was compiled is kept in {folder / "compiled"}, and the same command goes on')
            sys.stdout.flush()
            os._exit(130)  # a thread of the compiler may still be at work
        print('\n'.join(lines(answers, config, price)))
        write_all(answers, config, price, folder)
    print(f'written: {folder / "plan.json"}, plan.png, plan.svg, plan.html')


def check(price, mfu, programs):
    """Raises UserError where a flag has no meaning."""
    if price is not None and price < 0:
        raise UserError(f'--price={price:g}: dollars for a chip and hour, at least 0')
    if mfu is not None and not 0 < mfu <= 1:
        raise UserError(f'--mfu={mfu:g}: a share of the peak, above 0 and at most 1')
    if unknown := [name for name in programs if name not in PROGRAMS]:
        raise UserError(f'--programs={unknown[0]} is not known: take some of {", ".join(PROGRAMS)}')


def say(line):
    """Prints a line at once."""
    print(line, flush=True)


def define_plan_flags():
    """The flags beside --config, each once in a process."""
    if 'topology' not in flags.FLAGS:
        flags.DEFINE_list('topology', None, 'what is planned for: KIND:CHIPS, several with commas between them')
        flags.DEFINE_float('gpu-memory', None, 'GiB of each GPU; alone: of one')
        flags.DEFINE_float('price', None, 'dollars for a chip and hour')
        flags.DEFINE_float('mfu', None, 'share of the peak that training reaches, without recomputation; by default a published one')
        flags.DEFINE_list('programs', ['train'], f'what is planned, of {", ".join(PROGRAMS)}')
    if 'output' not in flags.FLAGS:  # another program of this process may have it
        flags.DEFINE_string('output', 'runs/plan', 'the folder of what is found')


define_flags()

if __name__ == '__main__':
    define_plan_flags()
    flags.FLAGS.set_default('output', 'runs/plan')
    run_app(main, Config, ('topology', 'gpu-memory', 'price', 'mfu', 'programs', 'output'))
