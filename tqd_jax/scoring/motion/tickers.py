"""Tickers: lines of text that run along a band of the picture, whose motion is not the picture's."""
import cv2
import numpy as np
import scipy.fft

CHANGED = 6.0  # grey levels from one picture to the next
LIVELY = 3.0  # times the median row's energy of change that a row has in which text runs
EXACT = 0.45  # correlation of a row's change with the next one's, shifted by the row's speed, from which it runs
SAME = 1.0  # pixels by which the shifts of neighbouring rows may differ
LOWEST, HIGHEST = 4, 0.25  # rows of a band at least, and the share of the picture's height at most
GAP = 9  # pixels between words
LONG = 4.0  # times a band's height that it changes along itself, on average, at once
OUTSIDE = (3, 8)  # rows from a band, from where and up to where its surroundings are
MARGIN = 6  # pixels that flow and its evidence reach beyond a band


def ticker_mask(pictures, still):
    """bool [h, w]: where lines of text run along rows of pictures float32 [F, h, w], at one speed in all of them.

    A row runs if the change from each picture to the next, shifted by one and the same number of pixels, is the change that follows. A
    band of such rows, long, low, and livelier than what is beside it, is a ticker: a thing that moves is not four times as long as it
    is high, and a camera that pans moves all rows. Pairs of pictures that differ nowhere by more than `still` grey levels are not asked.
    """
    changes = np.diff(pictures, axis=0)
    changes = changes[np.abs(changes).max((1, 2)) > still]
    mask = np.zeros(changes.shape[1:], bool)
    if len(changes) < 3:
        return mask
    energy = np.einsum('phw,phw->h', changes, changes)
    lively = np.flatnonzero(energy > LIVELY * np.median(energy) + changes[:, 0].size)
    if len(lively) < LOWEST:
        return mask
    share, shift = np.zeros((2, len(mask)))
    share[lively], shift[lively] = _shifts(changes[:, lively])
    for first, last in _bands((share > EXACT) & (shift != 0), shift):
        here = np.abs(changes[:, first:last]).max(1) > CHANGED
        low = LOWEST <= last - first <= HIGHEST * len(mask)
        if low and _stands_out(energy, first, last) and _length(here) >= LONG * (last - first):
            reach = cv2.dilate(here.any(0)[None].astype(np.uint8), np.ones((1, 2 * MARGIN + 1), np.uint8)) > 0
            mask[max(0, first - MARGIN):last + MARGIN] |= reach
    return mask


def _stands_out(energy, first, last):
    """Whether the rows beside a band, a blur's width off, change much less."""
    beside = np.r_[energy[max(0, first - OUTSIDE[1]):max(0, first - OUTSIDE[0])], energy[last + OUTSIDE[0]:last + OUTSIDE[1]]]
    return not beside.size or LIVELY * beside.mean() < energy[first:last].mean()


def _length(here):
    """Mean number of columns of bool [P, w], gaps between words filled, of the pairs that change at all."""
    filled = cv2.morphologyEx(here.astype(np.uint8), cv2.MORPH_CLOSE, np.ones((1, GAP), np.uint8)).sum(1)
    return filled[filled > 0].mean() if filled.any() else 0


def _shifts(changes):
    """(correlation [h], shift [h] in pixels) of each row's change [P, h, w] with the next one's, at the shift where they agree best."""
    width = changes.shape[2]
    length = scipy.fft.next_fast_len(2 * width, real=True)
    spectra = scipy.fft.rfft(changes, length, axis=2)
    cross = scipy.fft.irfft((spectra[:-1].conj() * spectra[1:]).sum(0), length, axis=1)
    energy = np.square(changes).sum(2)
    best = cross.argmax(1)
    share = cross[np.arange(len(best)), best] / (np.sqrt(energy[:-1].sum(0) * energy[1:].sum(0)) + 1e-6)
    return share, np.where(best > length // 2, best - length, best)


def _bands(runs, shift):
    """(first, end) of neighbouring rows that run together."""
    start = None
    for row in range(len(runs) + 1):
        if start is not None and (row == len(runs) or not runs[row] or abs(shift[row] - shift[row - 1]) > SAME):
            yield start, row
            start = None
        if start is None and row < len(runs) and runs[row]:
            start = row
