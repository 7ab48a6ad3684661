"""How much moves in a clip: dense optical flow per second over the frame's diagonal, deaf to noise and cuts."""
import itertools

import cv2
import numpy as np

RATE = 8.0  # pairs a second
SIDE = 128  # short side, in pixels, that flow is computed at
TOP = 0.05  # share of the pixels that move most, as VBench's dynamic degree


def motion(frames, times):
    """Raw measures of frames uint8 [F, H, W, 3] shown at times [F] in s; 'motion', in frame diagonals a second, is the score.

    For each pair, DIS optical flow (Kroeger et al. 2016) on blurred luma; a pixel counts as far as following its flow explains the change
    better than staying (noise is not explained by any flow). The score is the mean over time of the top 5 % of magnitudes; pairs across a
    cut are left out.
    """
    luma = [_prepared(frame) for frame in frames]
    pairs = [_pair(one, other) for one, other in itertools.pairwise(luma)]
    steps = np.diff(times)
    if not pairs:
        return {'motion': 0.0, 'motion_mean': 0.0, 'cuts': 0}
    top, mean, unexplained, change = np.array(pairs).T
    cut = _cuts(unexplained, change)
    seconds = max(float(steps[~cut].sum()), 1e-9)
    return {'motion': float(top[~cut].sum() / seconds), 'motion_mean': float(mean[~cut].sum() / seconds), 'cuts': int(cut.sum())}


def _prepared(frame):
    luma = cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY)
    scale = SIDE / min(luma.shape)
    size = (round(luma.shape[1] * scale), round(luma.shape[0] * scale))
    return cv2.GaussianBlur(cv2.resize(luma, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC), (0, 0), 1.5)


def _pair(one, other):
    """(top flow, mean flow) in diagonals, and mean change not explained by the flow, and in all."""
    flow = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM).calc(one, other, None)
    height, width = one.shape
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    followed = cv2.remap(other, x + flow[..., 0], y + flow[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    first = one.astype(np.float32)
    stay, follow = (cv2.GaussianBlur((first - second) ** 2, (0, 0), height / 32) for second in (other, followed))
    evidence = (stay - follow) / (np.median(follow) + 0.25)
    size = np.hypot(flow[..., 0], flow[..., 1]) / np.hypot(height, width) * np.clip((evidence - 1) / 2, 0, 1)
    count = max(1, int(TOP * size.size))
    top = np.partition(size.ravel(), -count)[-count:].mean()
    return top, size.mean(), np.abs(first - followed).mean(), np.abs(first - other).mean()


def _cuts(unexplained, change):
    """Pairs whose change no flow explains and which stand out from their neighbours."""
    cut = np.zeros(len(change), bool)
    for i, value in enumerate(unexplained):
        near = np.sort(np.r_[unexplained[max(0, i - 3):i], unexplained[i + 1:i + 4]])
        usual = near[-2] if len(near) > 1 else np.inf
        cut[i] = value > max(8.0, 2.5 * usual) and value > 0.5 * change[i]
    return cut if not cut.all() else np.zeros_like(cut)
