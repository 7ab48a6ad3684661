"""The flow shift that a video's size wants: more latent tokens, more noise for the same loss of information."""
import math


def token_shift(tokens: int, low: tuple = (4290, 3.0), high: tuple = (23000, 6.0)) -> float:
    """The shift of a video of `tokens` latent tokens, by a line in (log tokens, log shift) through two points (tokens, shift).

    The points are SANA-Video 2.0's (arXiv 2607.21553: 480p x 81 frames, 720p x 193). The line goes on beyond them; its slope is .41, near
    the 1/2 of shifts that keep the signal-to-noise ratio of a whole picture (Esser et al. 2024). Raises ValueError where a number is not
    positive or both points have the same tokens.
    """
    numbers = (tokens, *low, *high)
    if not all(math.isfinite(x) and x > 0 for x in numbers) or low[0] == high[0]:
        raise ValueError(f'a shift by tokens needs positive numbers and two points apart, got {tokens} tokens, {low} and {high}')
    part = math.log(tokens / low[0]) / math.log(high[0] / low[0])
    return low[1] * (high[1] / low[1])**part
