"""Markdown of the studies' pages: tables, commands, and cells of numbers."""
import math


def table(header, rows):
    """Lines of a Markdown table; cells are text."""
    line = lambda cells: f'| {" | ".join(cells)} |'
    return [line(header), f'|{"---|" * len(header)}', *map(line, rows)]


def command(config, results, named):
    """The command that made the results, but for its folders: configs/studies/CONFIG.py, the keys `named`, and the flags of the results."""
    flags = (f'--config.{key}={value}' for key, value in (results.get('flags', {}) | named).items())
    quoted = (f'"{flag}"' if set(flag) & set(' ()') else flag for flag in flags)
    return ' '.join((f'python -m benchmarks.studies --config=configs/studies/{config}.py', *quoted))


def cell(estimate, digits=3, sign=False):
    """'0.412 [0.388, 0.437]': an Estimate's mean and bootstrap interval; '—' where there is no number."""
    if not math.isfinite(estimate.mean):
        return '—'
    show = lambda value: f'{value:{"+" if sign else ""}.{digits}f}'
    bounds = f' [{show(estimate.low)}, {show(estimate.high)}]' if math.isfinite(estimate.low) else ''
    return show(estimate.mean) + bounds


def student(estimate, digits=3):
    """'[+0.012, +0.034]': Student's interval of a paired difference; '—' where there is none."""
    return f'[{estimate.t_low:+.{digits}f}, {estimate.t_high:+.{digits}f}]' if math.isfinite(estimate.t_low) else '—'
