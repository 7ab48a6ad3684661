"""A run of a study as a row: its regime, arm and seed, and the name of its record."""
import dataclasses


@dataclasses.dataclass(frozen=True, kw_only=True)
class Row:
    """One run: its regime ('pretrain', 'finetune' or 'scratch'), its arm, the arm's place in the Material, its seed.

    follow: samples are measured at every `every` steps, not only at the end.
    """
    regime: str
    arm: str
    plan: int
    seed: int
    follow: bool = False

    @property
    def name(self):
        """The name of its record in the store."""
        return f'{self.regime}/{self.arm.replace(" ", "_")}/seed{self.seed}'
