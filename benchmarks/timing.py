"""Interleaved timing of functions in one process, and a result page with command, versions and machine."""
import os
import pathlib
import platform
import statistics
import sys
import time

import jax

RESULTS = pathlib.Path(__file__).parent / 'results'


def interleaved(functions, rounds):
    """{name: [seconds] * rounds}: every function once a round, in turn; functions block until done.

    Each runs once without timing before its turn: the threads of one library may spin a while after their work, and the system may have
    taken back idle memory; neither counts in the time of another function.
    """
    seconds = {name: [] for name in functions}
    for number in range(rounds):
        names = list(functions) if number % 2 else list(functions)[::-1]  # each order comes equally often
        for name in names:
            functions[name]()
            start = time.perf_counter()
            functions[name]()
            seconds[name].append(time.perf_counter() - start)
    return seconds


def ratio_of_medians(seconds, one, other):
    """median(one) / median(other), and the 10th and 90th percentile of the ratio round by round."""
    ratios = sorted(a / b for a, b in zip(seconds[one], seconds[other], strict=True))
    tenth = max(1, len(ratios) // 10)
    return statistics.median(seconds[one]) / statistics.median(seconds[other]), ratios[tenth - 1], ratios[-tenth]


def machine():
    """One line: cores, device, Python and JAX, and the settings of the memory allocator."""
    tunables = os.environ.get('GLIBC_TUNABLES')
    return (f'{os.cpu_count()} cores, {platform.machine()}, {jax.device_count()} x {jax.devices()[0].device_kind}, '
            f'Python {platform.python_version()}, jax {jax.__version__}' + (f', GLIBC_TUNABLES={tunables}' if tunables else ''))


def program():
    """The name after `python -m` of the program that runs: a package for its __main__ module."""
    return sys.modules['__main__'].__spec__.name.removesuffix('.__main__')


def command():
    """The command line that started the program that runs."""
    return ' '.join(['python -m', program(), *sys.argv[1:]])


def write_page(name, title, lines, folder=RESULTS):
    """Writes NAME.md into the folder: the title, the command that made it, the machine, then the lines; prints it too."""
    text = '\n'.join([f'# {title}', '', f'`{command()}`', '', f'{time.strftime("%Y-%m-%d")}, {machine()}.', '', *lines, ''])
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f'{name}.md').write_text(text)
    print(text)
