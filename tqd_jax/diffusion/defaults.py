"""How the authors of published weights sample."""
import dataclasses
@dataclasses.dataclass(frozen=True, kw_only=True)
class Official:
    steps: int
    shift: float
    guidance: object
    negative: str
def official(model, boundary):
    return Official(steps=50, shift=5.0, guidance=5.0, negative='bad')
