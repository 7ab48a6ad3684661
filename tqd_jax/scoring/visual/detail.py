"""How much of a picture shows visible detail at two fixed scales of the scene, and how much noise lies over it."""
import cv2
import numpy as np

from tqd_jax.scoring.visual.strokes import halvings, without_strokes

SCALES = {27.0: 0.75, 64.0: 0.25}  # cycles a shorter side -> weight: coarse enough that a clip and its half-size copy both hold them
VISIBLE = 50.0  # squared grey levels: band energy at which a region counts half; faint traces, as of quantisation, count next to nothing
REFERENCE = 64  # pixels a shorter side
WHITE = 2.5  # natural pictures hold at most this many times more energy in the finest octave than in the next; white noise 17
SPARED = 0.2  # share of regions, the noisiest, that are not asked: textures finer than the rule above
REGIONS = 8  # along the shorter side
COARSE, FAINTLY = 8, 0.05  # pixels a cell of the mean around what is hidden, and the share of seen ones that it is taken from


def detail(lumas, hidden=None, plain=None):
    """Raw measures of lumas float32 [F, H, W], means over frames.

    detail: the mean over regions of e^2 / (e^2 + 50^2), where e is the energy in an octave of the Laplacian pyramid (Burt & Adelson 1983)
    without what noise adds to it: 3/4 at 27 and 1/4 at 64 cycles a shorter side, or in the finest octave of smaller frames. Of three
    pictures the least energy counts: the picture, and strokes.without_strokes of it, so that letters, halos and ringing add nothing. It
    falls with blur, upscaling and coarse quantisation, and hardly changes when the whole picture is shrunk, since these scales are the
    scene's and not the file's. noise: the sigma, in grey levels, of what the finest octave holds beyond 2.5 times the next one (white noise
    has 17 times, edges and textures less than 2.5), times 64 pixels over the shorter side: as it is seen at one size.

    hidden: bool [F, h, w] of any size, what overlays hide, which shows no detail of the scene. plain: without_strokes of every frame.
    """
    hidden = [None] * len(lumas) if hidden is None else hidden
    plain = map(without_strokes, lumas) if plain is None else plain
    frames = [_frame(*frame) for frame in zip(lumas, hidden, plain, strict=True)]
    return dict(zip(('detail', 'noise'), np.mean(frames, axis=0).tolist(), strict=True))


def octaves(luma):
    """Squared Laplacian bands of luma [H, W], finest first, and the cycles a shorter side that each is centred on."""
    bands, scales, side = [], [], min(luma.shape)
    while min(luma.shape) >= 8:
        coarse = cv2.pyrDown(luma)
        bands.append((luma - cv2.pyrUp(coarse, dstsize=luma.shape[::-1])) ** 2)
        scales.append(side / 2 ** (len(bands) + 0.5))
        luma = coarse
    return bands, scales


def _frame(luma, hidden, plain):
    """(detail, noise) of one frame."""
    bands, scales = octaves(luma)
    sigma = _noise(bands)
    energy = [np.maximum(0, _regions(band, REGIONS) - gain * sigma**2) for band, gain in zip(bands, GAINS, strict=False)]
    for picture in plain:
        bands, _ = octaves(_filled(picture, hidden))
        for number, band in enumerate(bands, halvings(luma)):
            energy[number] = np.minimum(energy[number], _like(_regions(band, REGIONS), energy[number]))
    shares = [float(np.mean(e**2 / (e**2 + VISIBLE**2) * _open(hidden, e))) for e in energy]
    if not shares:
        return 0.0, 0.0
    log_scales = np.log2(scales[:len(shares)])[::-1]
    value = sum(weight * np.interp(np.log2(scale), log_scales, shares[::-1]) for scale, weight in SCALES.items())
    return value, sigma * REFERENCE / min(luma.shape)


def _open(hidden, regions):
    """The share of each region that nothing hides."""
    return 1 if hidden is None or not hidden.any() else 1 - _like(hidden.astype(np.float32), regions)


def _filled(luma, hidden):
    """luma with what is hidden replaced by the mean around it, so that its edges are not those of an overlay."""
    if hidden is None or not hidden.any():
        return luma
    seen = 1 - cv2.dilate(_like(hidden.astype(np.float32), luma, cv2.INTER_LINEAR), np.ones((5, 5), np.uint8))
    coarse = (max(1, luma.shape[1] // COARSE), max(1, luma.shape[0] // COARSE))
    both = np.dstack([cv2.resize(part, coarse, interpolation=cv2.INTER_AREA) for part in (luma * seen, seen)])
    around = np.full(both.shape[:2], (luma * seen).sum() / max(1, seen.sum()), np.float32)
    for sigma in (4, 2, 1):
        total, weight = cv2.split(cv2.GaussianBlur(both, (0, 0), sigma))
        around = np.where(weight > FAINTLY, total / np.maximum(weight, FAINTLY), around)
    return luma * seen + _like(around, luma, cv2.INTER_LINEAR) * (1 - seen)


def _like(regions, other, method=cv2.INTER_AREA):
    """The array at the size of the other one."""
    return regions if regions.shape == other.shape else cv2.resize(regions, other.shape[::-1], interpolation=method)


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
