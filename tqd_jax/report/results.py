"""Results: a run's work directory, read back: scores, timesteps, evaluations, metrics, samples; a missing file is an empty part."""
import dataclasses
import itertools
import json

import numpy as np

from tqd_jax.scoring.scores import read_scores
from tqd_jax.timesteps.quadrants import quadrant
from transfer_jax.runtime.metrics import read_metrics
from transfer_jax.runtime.paths import AnyPath, local_copy, path_of

LISTED = 50  # skipped clips that a page lists
NUMBERS = ('motion', 'visual', 'mq', 'vq', 'true_motion', 'true_visual')


@dataclasses.dataclass(frozen=True, kw_only=True)
class Results:
    """The parts of a run; each is empty where its file is missing.

    scores: {column: float64 [N]} of the scored clips of scores.parquet, and each clip's 'quadrant' (int). skipped: how many clips have no
    scores; listed: [{'clip', 'reason'}], the first LISTED of them. drawn: counts [4, BINS], grid [G] and law_density [4, G].
    evaluations: [Evaluation]. metrics: [{'step', name: value}]. samples: captions, and motion and visual quality of samples and data.
    videos: their files. comparison: the record of config.compare's second run, and the folder of its 'samples'. changes: the lines of
    changes.jsonl. alignment, learned: the records of --mode=align and learn, or the law that the run is trained by. summary, config: dicts.
    """
    folder: AnyPath
    scores: dict
    skipped: int
    listed: list
    drawn: dict
    evaluations: list
    metrics: list
    samples: dict
    videos: list
    changes: list
    comparison: dict
    alignment: dict
    learned: dict
    summary: dict
    config: dict

    def series(self, name):
        """Steps [N] and values [N] of one scalar of the metrics; both empty where it was never written."""
        rows = [(line['step'], line[name]) for line in self.metrics if line.get(name) is not None]
        return tuple(np.array(rows, float).reshape(-1, 2).T)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Evaluation:
    """Validation loss [4, BINS] by quadrant and noise bin, NaN where no clip was; count: clips in each."""
    step: int
    loss: np.ndarray
    count: np.ndarray

    @property
    def mean(self):
        """Mean loss over clips and noise bins."""
        return float(np.nansum(self.loss * self.count) / max(1.0, self.count[np.isfinite(self.loss)].sum()))


def read_results(workdir):
    """The Results of a work directory."""
    folder = path_of(workdir)
    evaluations = [Evaluation(step=line['step'], loss=np.array(line['loss'], float), count=np.array(line['count'], float))
                   for line in read_metrics(folder / 'evaluation.jsonl')]
    skipped, listed = _skipped(folder / 'skipped.jsonl')
    config = _json(folder / 'config.json')
    return Results(folder=folder, scores=_scores(folder / 'scores.parquet'), skipped=skipped, listed=listed,
                   drawn=_arrays(folder / 'drawn.npz'), evaluations=evaluations, metrics=read_metrics(folder / 'metrics.jsonl'),
                   samples=_json(folder / 'samples.json'), videos=sorted((folder / 'samples').glob('*.mp4')),
                   comparison=_comparison(folder, config), changes=read_metrics(folder / 'changes.jsonl'),
                   alignment=_json(folder / 'alignment.json'), learned=_json(folder / 'learned_law.json') or _json(folder / 'law.json'),
                   summary=_json(folder / 'summary.json'), config=config)


def _comparison(folder, config):
    """comparison.json of the law that config.json names, with the folder of its clips as 'samples'; {} without one."""
    if config.get('compare') is None:
        return {}
    second = folder / 'compare' / config['compare']
    record = _json(second / 'comparison.json')
    return record and {**record, 'samples': second / 'samples'}


def _scores(path):
    if not path.exists():
        return {}
    file = read_scores(path)
    numbers = {name: file.numbers(name, 'scores') for name in NUMBERS if name in file.columns}
    whole = {name: values for name, values in numbers.items() if not np.isnan(values).any()}
    return whole | {'quadrant': quadrant(whole['mq'], whole['vq'])} if len(numbers['mq']) else {}


def _skipped(path):
    """(number of lines, the first LISTED of them) of a skipped.jsonl."""
    if not path.exists():
        return 0, []
    with local_copy(path) as local, open(local, encoding='utf-8') as lines:
        listed = [json.loads(line) for line in itertools.islice(lines, LISTED)]
        return len(listed) + sum(1 for _ in lines), listed


def _arrays(path):
    if not path.exists():
        return {}
    with local_copy(path) as local, np.load(local) as file:
        return dict(file)


def _json(path):
    return json.loads(path.read_text(encoding='utf-8')) if path.exists() else {}
