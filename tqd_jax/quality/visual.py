"""How good a clip looks: detail at a fixed scale of the picture, detail at its own finest scale, less noise."""
import cv2
import numpy as np

SCALE = 32.0  # cycles a picture height: detail that both a clip and its half-size copy can hold
VISIBLE = 10.0  # squared grey levels: band energy at which a region counts half
FINEST = 0.35  # weight of detail at the finest scale; small, since shrinking a picture moves it
NOISE_WEIGHT, NOISE_HALF = 0.8, 4.0  # the most that noise takes away, and the grey levels of it that take half of that
BLOCK_WEIGHT, BLOCK_HALF = 0.5, 1.0
DEBLOCKED = 0.5  # the trace of blocks that well-encoded H.264 keeps, and nobody sees
WHITE = 2.5  # natural pictures hold at most this many times more energy in the finest octave than in the next


def visual(frames):
    """Raw measures of frames uint8 [F, H, W, 3]; 'visual', higher is better, is the score.

        visual = detail(32 cycles a height) + 0.35 detail(finest octave) - 0.8 n / (n + 4) - 0.5 b / (b + 1)

    detail is the share of regions with visible energy in an octave of the Laplacian pyramid (Burt & Adelson 1983): the mean of e / (e + 10)
    over regions of energy e. It falls with blur, upscaling and coarse quantisation, at whichever scale they act. n, the noise in grey
    levels, is what the finest octave holds beyond 2.5 times the next: white noise has about 4.6 times, edges and textures less than 2.5.
    b is blockiness: by how much luma is steeper across the borders of 8 x 8 blocks than between other pixels, beyond half as steep again.
    The constants are calibrated on the rendered library and held against real clips (docs/results/scoring.md).
    """
    rows = [_frame(cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY).astype(np.float32)) for frame in frames]
    detail, fine, noise, blocks = (float(np.mean(column)) for column in zip(*rows, strict=True))
    score = detail + FINEST * fine - NOISE_WEIGHT * noise / (noise + NOISE_HALF) - BLOCK_WEIGHT * blocks / (blocks + BLOCK_HALF)
    return {'visual': score, 'detail': detail, 'fine_detail': fine, 'noise': noise, 'blockiness': blocks}


def octaves(luma):
    """Squared Laplacian bands of luma [H, W], finest first, and the cycles a height that each is centred on."""
    bands, scales, height = [], [], min(luma.shape)
    while min(luma.shape) >= 8:
        coarse = cv2.pyrDown(luma)
        bands.append((luma - cv2.pyrUp(coarse, dstsize=luma.shape[::-1])) ** 2)
        scales.append(height / 2 ** (len(bands) + 0.5))
        luma = coarse
    return bands, scales


def _frame(luma):
    """(detail at SCALE, detail at the finest octave, noise in grey levels, blockiness) of one frame."""
    bands, scales = octaves(luma)
    energy = [_regions(band, 8) for band in bands]
    share = [float(np.mean(e / (e + VISIBLE))) for e in energy]
    detail = np.interp(np.log2(SCALE), np.log2(scales[::-1]), share[::-1])
    return float(detail), share[0], _noise(bands), (_blockiness(luma) + _blockiness(luma.T)) / 2


def _noise(bands):
    if len(bands) < 2:
        return 0.0
    fine = _regions(bands[0], 12)
    next_ = cv2.resize(bands[1], fine.shape[::-1], interpolation=cv2.INTER_AREA)
    gain = GAINS[0] - WHITE * GAINS[1]
    sigma = np.sort(np.sqrt(np.maximum(0, fine - WHITE * next_) / gain), axis=None)
    return float(sigma[:max(1, int(0.8 * sigma.size))].mean())  # the top fifth is left to textures finer than any octave's rule


def _blockiness(luma):
    steps = np.abs(np.diff(luma, axis=1)).mean(axis=0)
    phases = np.array([steps[phase::8].mean() for phase in range(8)])
    usual = np.median(phases)
    return max(0.0, float((phases[7] - usual) / (usual + 0.5)) - DEBLOCKED)


def _regions(band, count):
    """Mean of a band over about `count` squares along its shorter side."""
    side = max(2, min(band.shape) // count)
    return cv2.resize(band, (max(1, band.shape[1] // side), max(1, band.shape[0] // side)), interpolation=cv2.INTER_AREA)


def _gains():
    bands, _ = octaves(np.random.default_rng(0).standard_normal((512, 512)).astype(np.float32))
    return [float(band.mean()) for band in bands[:2]]


GAINS = _gains()  # energy that white noise of unit variance has in the two finest octaves
