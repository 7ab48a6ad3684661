"""How good a clip looks: the share of the picture with visible detail at two fixed scales, less for noise and blocks."""
import cv2
import numpy as np

SCALES = {27.0: 0.75, 64.0: 0.25}  # cycles a shorter side -> weight: coarse enough that a clip and its half-size copy both hold them
VISIBLE = 50.0  # squared grey levels: band energy at which a region counts half
NOISE_HALF = 3.0  # grey levels of noise, as seen at REFERENCE pixels a side, that halve the score
REFERENCE = 64  # pixels a shorter side
WHITE = 2.5  # natural pictures hold at most this many times more energy in the finest octave than in the next; white noise 17
BLOCK_HALF = 4.0  # blockiness that halves the score
DEBLOCKED = 1.0  # the trace of blocks that well-encoded video keeps, and nobody sees
FAINT = 0.25  # grey levels of a jump that rounding alone explains
SPARED = 0.2  # share of regions, the noisiest, that are not asked: textures finer than the rule above


def visual(frames, block=8.0):
    """Raw measures of frames uint8 [F, H, W, 3]; 'visual' in [0, 1], higher is better, is the score.

        visual = detail / (1 + noise / 3 + blockiness / 4)

    detail: the mean over regions of e / (e + 50), where e is the energy in an octave of the Laplacian pyramid (Burt & Adelson 1983) without
    what noise adds to it: 3/4 at 27 and 1/4 at 64 cycles a shorter side, or in the finest octave of smaller frames. It falls with blur,
    upscaling and coarse quantisation, and hardly changes when the whole picture is shrunk, since these scales are the scene's and not the
    file's. noise: the sigma, in grey levels, of what the finest octave holds beyond 2.5 times the next one (white noise has 17 times,
    edges and textures less than 2.5), times 64 pixels over the shorter side: as it is seen at one size. blockiness: how much higher luma
    jumps, beyond the slopes beside, at the borders of blocks of `block` pixels (8 in a file, fewer where it was shrunk) than between other
    pixels, as a share of the latter and less 1.
    The constants are calibrated on the rendered library and held against real clips (docs/results/scoring.md).
    """
    rows = [_frame(cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY).astype(np.float32), block) for frame in frames]
    detail, fine_detail, noise, blockiness = (float(column) for column in np.mean(rows, axis=0))
    score = detail / (1 + noise / NOISE_HALF + blockiness / BLOCK_HALF)
    return {'visual': score, 'detail': detail, 'fine_detail': fine_detail, 'noise': noise, 'blockiness': blockiness}


def octaves(luma):
    """Squared Laplacian bands of luma [H, W], finest first, and the cycles a shorter side that each is centred on."""
    bands, scales, side = [], [], min(luma.shape)
    while min(luma.shape) >= 8:
        coarse = cv2.pyrDown(luma)
        bands.append((luma - cv2.pyrUp(coarse, dstsize=luma.shape[::-1])) ** 2)
        scales.append(side / 2 ** (len(bands) + 0.5))
        luma = coarse
    return bands, scales


def _frame(luma, block):
    """(detail, detail in the finest octave, noise, blockiness) of one frame."""
    bands, scales = octaves(luma)
    sigma = _noise(bands)
    energy = [np.maximum(0, _regions(band, 8) - gain * sigma**2) for band, gain in zip(bands, GAINS, strict=False)]
    shares = [float(np.mean(e / (e + VISIBLE))) for e in energy]
    known = np.log2(scales[:len(shares)])[::-1]
    detail = sum(weight * np.interp(np.log2(scale), known, shares[::-1]) for scale, weight in SCALES.items())
    blockiness = max(0.0, (_blocks(luma, block) + _blocks(luma.T, block)) / 2 - DEBLOCKED)
    return detail, shares[0], sigma * REFERENCE / min(luma.shape), blockiness


def _noise(bands):
    """Standard deviation, in grey levels, of the white noise that explains the finest octave."""
    if len(bands) < 2:
        return 0.0
    fine = _regions(bands[0], 12)
    coarser = cv2.resize(bands[1], fine.shape[::-1], interpolation=cv2.INTER_AREA)
    sigma = np.sort(np.sqrt(np.maximum(0, fine - WHITE * coarser) / (GAINS[0] - WHITE * GAINS[1])), axis=None)
    return float(sigma[:max(1, round((1 - SPARED) * sigma.size))].mean())


def _blocks(luma, block):
    """How much higher the jumps across the vertical borders of blocks are than those between other columns, as a share."""
    steps = np.abs(np.diff(luma, axis=1))
    jumps = np.maximum(0, steps[:, 1:-1] - np.maximum(steps[:, :-2], steps[:, 2:])).mean(axis=0)
    borders = block * np.arange(1, luma.shape[1] // block) - 2  # jump i is the one between columns i + 1 and i + 2
    if not len(borders):
        return 0.0
    inside = np.ones(len(jumps), bool)
    inside[np.floor(borders).astype(int)] = inside[np.ceil(borders).astype(int)] = False
    usual = jumps[inside].mean() if inside.any() else 0.0
    return float((np.interp(borders, np.arange(len(jumps)), jumps).mean() - usual) / (usual + FAINT))


def _regions(band, count):
    """Mean of a band over squares, about `count` of them along its shorter side."""
    side = max(2, min(band.shape) // count)
    return cv2.resize(band, (max(1, band.shape[1] // side), max(1, band.shape[0] // side)), interpolation=cv2.INTER_AREA)


def _gains():
    bands, _ = octaves(np.random.default_rng(0).standard_normal((1024, 1024)).astype(np.float32))
    return [float(band.mean()) for band in bands]


GAINS = _gains()  # energy that white noise of unit variance has in each octave
