"""From a clip's quality, mq and vq in [0, 1], to its Law, the distribution of its t."""
import dataclasses
import inspect

from tqd_jax.timesteps.law import Base, Law
from tqd_jax.timesteps.min_noise import min_noise
from tqd_jax.timesteps.offset import offset, thresholds
from tqd_jax.timesteps.quadrants import Scores, check_scores
from tqd_jax.timesteps.tqd import beta, exact_base
from tqd_jax.timesteps.uniform import uniform

# kind: function(mq [B], vq [B], *, the fields of LawConfig that it reads) -> Law [B]. A new law is one file, and one line here.
LAWS = {
    'uniform': uniform,
    'beta': beta,
    'exact_base': exact_base,
    'offset': offset,
    'min_noise': min_noise,
    'thresholds': thresholds,
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class LawConfig:
    """How mq and vq become a law; the constants are the paper's where it has them.

    kind: 'uniform' (the base law for every clip), 'beta' (the paper's), 'exact_base' (the paper's tilt, through the base's inverse CDF),
    'offset' (a logit offset for clips good at one thing only, as SANA-Video 2.0), 'thresholds' (the same, good being mq >=
    motion_threshold and vq >= visual_threshold), 'min_noise' (only t >= strength (1 - vq), as Ambient Diffusion Omni). Raises ValueError
    on another kind, unless 0 < kappa_base <= kappa_max, and where a field that the kind does not read (see fields_of) has another value
    than its default.
    """
    kind: str = 'beta'
    base: Base = Base()
    shift: float = 1.0
    kappa_base: float = 2.0
    kappa_max: float = 8.0
    min_parameter: float = 0.2
    offset: float = 1.1
    strength: float = 0.5
    motion_threshold: float = 0.5
    visual_threshold: float = 0.5

    def __post_init__(self):
        if self.kind not in LAWS:
            raise ValueError(f'a law is one of {", ".join(LAWS)}, got {self.kind!r}')
        if not 0 < self.kappa_base <= self.kappa_max:
            raise ValueError(f'a law needs 0 < kappa_base <= kappa_max, got {self.kappa_base} and {self.kappa_max}')
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if field.name not in ('kind', *fields_of(self.kind)) and value != field.default:
                raise ValueError(f'the law {self.kind!r} does not read {field.name}, which is {value!r}: leave it at {field.default!r}')


def fields_of(kind: str) -> tuple[str, ...]:
    """The fields of LawConfig that a kind of law reads: the keyword arguments of its function."""
    return tuple(name for name, one in inspect.signature(LAWS[kind]).parameters.items() if one.kind == one.KEYWORD_ONLY)


def law_from_quality(mq: Scores, vq: Scores, config: LawConfig) -> Law:
    """The Law [B] of clips with motion quality mq [B] and visual quality vq [B] in [0, 1]: LAWS[config.kind].

    Raises ValueError where a score is outside [0, 1] or not finite.
    """
    fields = {name: getattr(config, name) for name in fields_of(config.kind)}
    return LAWS[config.kind](check_scores(mq), check_scores(vq), **fields)
