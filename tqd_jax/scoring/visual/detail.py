"""How much of a picture shows visible detail at two fixed scales of the scene, and how much noise lies over it."""
import cv2
import numpy as np

SCALES = {27.0: 0.75, 64.0: 0.25}  # cycles a shorter side -> weight: coarse enough that a clip and its half-size copy both hold them
VISIBLE = 50.0  # squared grey levels: band energy at which a region counts half
REFERENCE = 64  # pixels a shorter side
WHITE = 2.5  # natural pictures hold at most this many times more energy in the finest octave than in the next; white noise 17
SPARED = 0.2  # share of regions, the noisiest, that are not asked: textures finer than the rule above


def detail(lumas):
    """Raw measures of lumas float32 [F, H, W], means over frames.

    detail: the mean over regions of e / (e + 50), where e is the energy in an octave of the Laplacian pyramid (Burt & Adelson 1983) without
    what noise adds to it: 3/4 at 27 and 1/4 at 64 cycles a shorter side, or in the finest octave of smaller frames. It falls with blur,
    upscaling and coarse quantisation, and hardly changes when the whole picture is shrunk, since these scales are the scene's and not the
    file's. noise: the sigma, in grey levels, of what the finest octave holds beyond 2.5 times the next one (white noise has 17 times,
    edges and textures less than 2.5), times 64 pixels over the shorter side: as it is seen at one size.
    """
    return dict(zip(('detail', 'noise'), np.mean([_frame(luma) for luma in lumas], axis=0).tolist(), strict=True))


def octaves(luma):
    """Squared Laplacian bands of luma [H, W], finest first, and the cycles a shorter side that each is centred on."""
    bands, scales, side = [], [], min(luma.shape)
    while min(luma.shape) >= 8:
        coarse = cv2.pyrDown(luma)
        bands.append((luma - cv2.pyrUp(coarse, dstsize=luma.shape[::-1])) ** 2)
        scales.append(side / 2 ** (len(bands) + 0.5))
        luma = coarse
    return bands, scales


def _frame(luma):
    """(detail, noise) of one frame."""
    bands, scales = octaves(luma)
    sigma = _noise(bands)
    energy = [np.maximum(0, _regions(band, 8) - gain * sigma**2) for band, gain in zip(bands, GAINS, strict=False)]
    shares = [float(np.mean(e / (e + VISIBLE))) for e in energy]
    if not shares:
        return 0.0, 0.0
    log_scales = np.log2(scales[:len(shares)])[::-1]
    value = sum(weight * np.interp(np.log2(scale), log_scales, shares[::-1]) for scale, weight in SCALES.items())
    return value, sigma * REFERENCE / min(luma.shape)


def _noise(bands):
    """Standard deviation, in grey levels, of the white noise that explains the finest octave."""
    if len(bands) < 2:
        return 0.0
    fine = _regions(bands[0], 12)
    coarser = cv2.resize(bands[1], fine.shape[::-1], interpolation=cv2.INTER_AREA)
    sigma = np.sort(np.sqrt(np.maximum(0, fine - WHITE * coarser) / (GAINS[0] - WHITE * GAINS[1])), axis=None)
    return float(sigma[:max(1, round((1 - SPARED) * sigma.size))].mean())


def _regions(band, count):
    """Mean of a band over squares, about `count` of them along its shorter side."""
    side = max(2, min(band.shape) // count)
    return cv2.resize(band, (max(1, band.shape[1] // side), max(1, band.shape[0] // side)), interpolation=cv2.INTER_AREA)


def _gains():
    bands, _ = octaves(np.random.default_rng(0).standard_normal((1024, 1024)).astype(np.float32))
    return [float(band.mean()) for band in bands]


GAINS = _gains()  # energy that white noise of unit variance has in each octave
