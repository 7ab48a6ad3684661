"""How good a clip looks: sharpness where the frame's own resolution could hold it, less noise."""
import cv2
import numpy as np

NOISE = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], np.float32)


def visual(frames):
    """Raw measures of frames uint8 [F, H, W, 3]; 'visual', higher is better, is the score."""
    rows = [_frame(cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY).astype(np.float32)) for frame in frames]
    sharpness, noise = (float(np.mean(column)) for column in zip(*rows, strict=True))
    return {'visual': sharpness - noise, 'sharpness': sharpness, 'noise': noise}


def _frame(luma):
    response = np.abs(cv2.filter2D(luma, -1, NOISE)) * np.sqrt(np.pi / 2) / 6
    noise = float(np.quantile(cv2.boxFilter(response, -1, (8, 8)), 0.25))
    coarse = cv2.pyrDown(luma)
    fine = luma - cv2.pyrUp(coarse, dstsize=luma.shape[::-1])
    return float(np.log2(np.mean(fine**2) + 1)), float(np.log2(1 + noise))
