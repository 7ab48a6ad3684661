"""How a picture uses its range: brightness, contrast, what is clipped to black or white, and how colourful it is."""
import numpy as np

BLACK, WHITE = 2, 253  # grey levels at and beyond which nothing more can be told apart
LOW, HIGH = 0.05, 0.95  # shares of the pixels: a few lamps or a dark corner make no contrast
SIDE = 135  # pixels of the shorter side that suffice
OPPONENTS = np.array([[1, -1, 0], [0.5, 0.5, -1]], np.float32)  # red - green, yellow - blue


def exposure(frames, lumas):
    """Raw measures of frames uint8 [F, H, W, 3] and their lumas float32 [F, H, W], without their bars: the means over frames.

    brightness: mean luma / 255. contrast: the range from the 5th to the 95th percentile of luma / 255. clipped: the share of pixels at
    most 2 or at least 253. All in [0, 1]. colourfulness: sigma + 0.3 mu in grey levels, 0 for grey (Hasler & Suesstrunk 2003), where
    sigma^2 and mu^2 are the sums of the variances and of the squared means of R - G and (R + G) / 2 - B.
    """
    step = max(1, min(lumas.shape[1:]) // SIDE)
    measures = [(*_levels(luma), _colourfulness(frame)) for frame, luma in
                zip(frames[:, ::step, ::step], lumas[:, ::step, ::step], strict=True)]
    return dict(zip(('brightness', 'contrast', 'clipped', 'colourfulness'), np.mean(measures, axis=0).tolist(), strict=True))


def _levels(luma):
    """(brightness, contrast, clipped) of one frame, from the counts of its rounded luma."""
    shares = np.bincount(np.rint(luma).astype(np.uint8).ravel(), minlength=256) / luma.size
    low, high = np.searchsorted(np.cumsum(shares), (LOW, HIGH))
    clipped = shares[:BLACK + 1].sum() + shares[WHITE:].sum()
    return luma.mean(dtype=np.float64) / 255, (high - low) / 255, clipped


def _colourfulness(frame):
    opponents = OPPONENTS @ frame.transpose(2, 0, 1).reshape(3, -1).astype(np.float32)
    return np.sqrt(opponents.var(axis=1).sum()) + 0.3 * np.linalg.norm(opponents.mean(axis=1))
