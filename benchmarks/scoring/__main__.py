"""Orderings and invariances of the scores on copies of real clips, agreement with a rendered truth, and the cost of scoring.

    python -m benchmarks.scoring --clips=FOLDER --workdir=FOLDER [--seconds=2] [--workers=2] [--before=TABLE]
        [--output=docs/results/scoring.md]

--before is what an older commit's `python -m tqd_jax.score --clips=WORKDIR/copies` wrote: the page compares both. All takes some 40
minutes for 30 clips on two cores; a run with the same --workdir goes on where the last one stopped.
"""
import argparse
import concurrent.futures
import functools
import pathlib
import statistics

import numpy as np
import pyarrow.parquet as pq
import scipy.stats as st

from benchmarks.scoring import page as scoring_page
from benchmarks.scoring.copies import make_copies
from benchmarks.scoring.cost import SPAWN, memory, speed
from tqd_jax.clips.manifest import read_clips
from tqd_jax.clips.render import render_library
from tqd_jax.scoring.engine import in_processes, rows, score_clips
from tqd_jax.scoring.row import Settings

SEEDS = (0, 1, 2)  # of rendered libraries


def score(paths, store, workers):
    """The rows of clips, measured where the store does not have them."""
    measure = functools.partial(in_processes, settings=Settings(codec=True), store=store, workers=workers)
    score_clips(paths, store, Settings(codec=True), measure=measure)
    return list(rows(paths, store, Settings(codec=True)))


def real_clips(clips, folder, seconds, workers):
    """{copy: [clips] of rows}, and the clips' names. Raises RuntimeError where a copy has no scores."""
    jobs = [(path, folder / f'{i:03d} {pathlib.Path(path).name}', seconds) for i, path in enumerate(clips)]
    with concurrent.futures.ProcessPoolExecutor(workers, SPAWN) as pool:
        usable = [job for job, good in zip(jobs, pool.map(make_copies, jobs), strict=True) if good]
    table = {}
    for row in score([str(path) for _, place, _ in usable for path in sorted(place.iterdir())], folder / 'rows.store', workers):
        if 'reason' in row:
            raise RuntimeError(f'{row["clip"]} cannot be scored: {row["reason"]}')
        table.setdefault(pathlib.Path(row['clip']).stem, []).append(row)
    return table, [pathlib.Path(path).name for path, _, _ in usable]


def older_scores(file, table):
    """{copy: [clips] of an older scorer's rows}, in the order of table, from the scores of the same files. Raises KeyError without one."""
    found = {tuple(pathlib.Path(row['clip']).parts[-2:]): row for row in pq.read_table(file).to_pylist()}
    return {copy: [found[tuple(pathlib.Path(row['clip']).parts[-2:])] for row in rows] for copy, rows in table.items()}


def rendered_agreement(folder, seed, workers):
    """Spearman correlations of (motion, visual quality) with the truth of a rendered library, and the number of its clips."""
    manifest = render_library(folder, seed=seed)
    truth = pq.read_table(manifest).to_pylist()
    scores = score([str(manifest.parent / row['clip']) for row in truth], folder.with_suffix('.store'), workers)
    agree = lambda score, column: st.spearmanr([row[score] for row in scores], [row[column] for row in truth])[0]
    return agree('motion', 'true_motion'), agree('visual', 'true_visual'), len(truth)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--clips', required=True)
    parser.add_argument('--workdir', type=pathlib.Path, required=True)
    parser.add_argument('--seconds', type=float, default=2.0)
    parser.add_argument('--workers', type=int, default=2)
    parser.add_argument('--before', type=pathlib.Path)
    parser.add_argument('--output', type=pathlib.Path, default=pathlib.Path('docs/results/scoring.md'))
    args = parser.parse_args()
    args.workdir.mkdir(parents=True, exist_ok=True)
    clips = read_clips(args.clips)['clip'].to_pylist()
    truth = {seed: rendered_agreement(args.workdir / f'library{seed}', seed, args.workers) for seed in SEEDS}
    table, names = real_clips(clips, args.workdir / 'copies', args.seconds, args.workers)
    before = older_scores(args.before, table) if args.before else {}
    seconds, peaks = speed(clips, args.workers), {count: statistics.median(memory(count) for _ in range(3)) for count in (100, 10_000)}
    text = '\n'.join(scoring_page.page(np.array(names), table, before, truth, seconds, peaks, args))
    args.output.write_text(text + '\n')
    print(text)


if __name__ == '__main__':
    main()
