"""How much moves in a clip: dense optical flow per second over the frame's diagonal, deaf to noise and cuts."""
import itertools

import cv2
import numpy as np

RATE = 12.0  # frames a second to look at: finer steps than these are followed no better, coarser ones lose fast hands
SIDE = 128  # short side, in pixels, that flow is computed at
BLUR = 1.5  # sigma, in those pixels
TOP = 0.05  # share of the pixels that move most, as in VBench's dynamic degree
LUMA = np.array([0.299, 0.587, 0.114], np.float32)
LUMA_SHARE = 0.2  # weight of luma in the choice of the colour axis: decides where nothing changes
QUANTISED = 0.25  # squared grey levels that rounding alone explains
DOUBT, TRUST = 0.7, 2.0  # how many times the noise a flow must explain to count at all, and fully
FAINT = 4.0  # grey levels of contrast or change that are not told from noise
CUT, OUTSTANDING = 0.075, 2.5  # a cut leaves more than this unexplained, and so many times more than the pairs around it
NEAR = 3  # of them before and after


def motion(frames, times):
    """Raw measures of frames uint8 [F, H, W, 3] shown at times [F] in s; 'motion', in frame diagonals a second, is the score.

    For each pair of different frames, DIS optical flow (Kroeger et al. 2016) along the colour axis that changes most. A pixel counts as
    far as following its flow explains more of the change around it than noise can: nothing explains noise. motion is the path of the 5 %
    of pixels that move most, over the time it took; motion_mean that of all pixels; cuts are counted a second, and their pairs left out.
    """
    fresh = np.flatnonzero(np.diff(times, prepend=-np.inf) > 0)
    if len(fresh) < 2:
        return {'motion': 0.0, 'motion_mean': 0.0, 'cuts': 0.0}
    planes = _planes(frames[fresh])
    pairs = [_pair(one, other) for one, other in itertools.pairwise(planes)]
    top, mean, unexplained, share = np.array(pairs).T
    steps, cut = np.diff(times[fresh]), _cuts(unexplained, share)
    seconds = steps[~cut].sum() or np.inf
    return {'motion': float(top[~cut].sum() / seconds), 'motion_mean': float(mean[~cut].sum() / seconds),
            'cuts': float(cut.sum() / steps.sum())}


def _planes(frames):
    """One grey plane uint8 a frame, SIDE pixels high, along the colour axis with the most change in time.

    On that axis a red ball on a dark green lawn is seen as well as a white one; luma may hardly tell the two apart.
    """
    scale = SIDE / min(frames.shape[1:3])
    size = (round(frames.shape[2] * scale), round(frames.shape[1] * scale))
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    small = np.stack([cv2.GaussianBlur(cv2.resize(frame, size, interpolation=method), (0, 0), BLUR) for frame in frames])
    axis = _colour_axis(small[:, ::2, ::2])
    offset = -255 * np.minimum(axis, 0).sum()
    return np.stack([np.clip(frame @ axis + offset, 0, 255).round().astype(np.uint8) for frame in small])


def _colour_axis(frames):
    """Weights [3] of R, G and B, absolute sum 1: the first principal axis of the changes between frames, drawn towards luma."""
    changes = np.diff(frames.astype(np.float32), axis=0).reshape(-1, 3)
    covariance = changes.T @ changes / len(changes)
    prior = LUMA_SHARE * np.trace(covariance) + 1e-6
    axis = np.linalg.eigh(covariance + prior * np.outer(LUMA, LUMA) / (LUMA @ LUMA))[1][:, -1]
    return (axis / np.abs(axis).sum() * (1 if axis.sum() > 0 else -1)).astype(np.float32)


def _pair(one, other):
    """Top and mean flow in diagonals; change that the flow leaves unexplained, over the pictures' contrast, and over all change."""
    flow = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM).calc(one, other, None)
    height, width = one.shape
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    followed = cv2.remap(other, x + flow[..., 0], y + flow[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    first = one.astype(np.float32)
    stay, follow = (cv2.GaussianBlur((first - second) ** 2, (0, 0), SIDE / 32) for second in (other, followed))
    evidence = (stay - follow) / (np.median(follow) + QUANTISED)
    trust = np.clip((evidence - DOUBT) / (TRUST - DOUBT), 0, 1)
    size = np.hypot(flow[..., 0], flow[..., 1]) / np.hypot(height, width) * trust
    count = max(1, int(TOP * size.size))
    top = np.partition(size.ravel(), -count)[-count:].mean()
    unexplained, change = (float(np.abs(first - second).mean()) for second in (followed, other))
    return top, size.mean(), unexplained / (one.std() + other.std() + FAINT), unexplained / max(change, FAINT)


def _cuts(unexplained, share):
    """Pairs whose change no flow explains, and which stand out from their neighbours; one more cut nearby hides neither."""
    cut = np.zeros(len(share), bool)
    for i, value in enumerate(unexplained):
        near = np.sort(np.r_[unexplained[max(0, i - NEAR):i], unexplained[i + 1:i + 1 + NEAR]])
        cut[i] = len(near) > 1 and value > max(CUT, OUTSTANDING * near[-2]) and share[i] > 0.5
    return cut
