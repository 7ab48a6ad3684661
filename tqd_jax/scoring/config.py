"""How a library is scored: every setting of `python -m tqd_jax.score` but its page, with its default, its rule and its meaning."""
import dataclasses

from tqd_jax.clips.container import Limits
from tqd_jax.clips.pictures.options import BACKGROUNDS, DEINTERLACING
from tqd_jax.scoring.motion.optical_flow import FLOWS
from tqd_jax.scoring.normaliser import KINDS
from tqd_jax.scoring.row import Settings
from transfer_jax.runtime.config import Rule, boolean, choice, integer, key, number, optional, paths, text
from transfer_jax.runtime.parallel.cores import cores

SECONDS = Rule(allowed='a number, at least 1; inf is no limit', accepts=lambda value: isinstance(value, int | float) and value >= 1)
TEXTS = Rule(allowed='texts, separated by commas', accepts=lambda values: all(isinstance(value, str) and value for value in values))

PATHS = dataclasses.replace(TEXTS, path=True)


@dataclasses.dataclass(frozen=True, kw_only=True)
class ScoreConfig:
    """What scoring.library.score_library is to do. A field is a flag of `python -m tqd_jax.score`, and so is each field of `limits`."""
    clips: str | None = key(None, optional(paths()), 'a folder, archive, manifest (.parquet, .csv, .tsv, .jsonl, .json), list (.txt) or '
                            'video; or name=path,name=path')
    columns: str | None = key(None, optional(text()), "names of a manifest's columns, as 'clip=video,caption=prompt'; by default they "
                              'are found by the usual names')
    output: str = key('scores.parquet', paths(), 'the table to write; its page and files lie beside it')
    store: str | None = key(None, optional(paths()), 'where measured rows are kept; OUTPUT.store by default')
    workers: int = key(cores(), integer(at_least=0), 'processes; 0 measures in this one, which no limit of time or memory protects')
    scores: tuple = key((), PATHS, 'files of scores that other tools have given, instead of or beside measuring (docs/importing.md)')
    tool: str | None = key(None, optional(text()), 'the tool that --scores are of, where their columns do not tell')
    flow: str = key('dis', choice(*FLOWS), 'optical flow')
    camera: bool = key(True, boolean(), "whether the camera's motion counts in the score; false: only what moves against it does")
    niqe: str | None = key(None, optional(paths()), 'a NIQE model of your own frames, by python -m tqd_jax.scoring.visual.niqe_model')
    codec: bool = key(False, boolean(), "measure the length of the codec's own motion vectors too")
    min_codec_motion: float = key(0.0, number(at_least=0), 'a cheap first pass: clips whose codec moves less get a reason',
                                  renamed_from='least_codec_motion')
    background: str = key('black', choice(*BACKGROUNDS), 'what shows through transparent pictures')
    deinterlace: str = key('never', choice(*DEINTERLACING), 'flagged: frames that the file marks as interlaced; always: all frames')
    scorers: tuple = key((), TEXTS, 'learned scorers, module:factory or module:factory=FILE, run in batches on the accelerator')
    batch: int = key(8, integer(at_least=1), 'clips that a learned scorer sees at a time')
    normaliser: str = key('rank', paths(), f'scores -> mq, vq: {", ".join(KINDS)}, or a normaliser.json of another library')
    timeout: float = key(300.0, SECONDS, 'seconds that one clip may take')
    memory_gb: float = key(4.0, number(at_least=0.5), 'GB that one process may take')
    beam: str = key('', Rule(allowed='text', accepts=lambda value: isinstance(value, str)),
                    "options of Apache Beam, as '--runner=...': measures on a cluster (docs/scoring.md)")
    scratch: str | None = key(None, optional(paths()), 'with --beam: a folder or URL that all workers reach; OUTPUT.scratch by default')
    retry: bool = key(False, boolean(), 'ask again for clips that could not be read, or not in time')
    limits: Limits = Limits()

    @property
    def settings(self):
        """What a row depends on beside the clip."""
        return Settings(flow=self.flow, niqe=self.niqe, codec=self.codec, min_codec_motion=self.min_codec_motion, limits=self.limits,
                        background=self.background, deinterlace=self.deinterlace)

    @property
    def store_path(self):
        """The file of measured rows."""
        return self.store or f'{self.output}.store'
