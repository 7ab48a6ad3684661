"""What each column of a row of scores means, and how raw measures combine into the two scores."""
import dataclasses

VERSION = '6'  # of every measure and of both formulas: raise it, and rows of another version are measured anew
NOISE_HALF, BLOCK_HALF, BAND_HALF = 2.0, 4.0, 0.2  # noise in grey levels, blockiness and banding that halve the visual quality of a picture
USUAL_HALOS, HALO_HALF, MOST_HALOS = 0.05, 0.8, 0.6  # what a lens and its camera leave; what halves the quality beyond it; no more counts
UPSCALED = 0.05  # share of the visual quality that a picture without any detail of its own resolution lacks

VISUAL_FORMULA = (f'detail (1 - letterbox) ({1 - UPSCALED:g} + {UPSCALED:g} true_resolution) / (1 + noise / {NOISE_HALF:g} + blockiness / '
                  f'{BLOCK_HALF:g} + banding / {BAND_HALF:g} + (halos - {USUAL_HALOS:g}) / {HALO_HALF:g}), where halos count from '
                  f'{USUAL_HALOS:g} to {MOST_HALOS:g}')  # visual_score in words


@dataclasses.dataclass(frozen=True)
class Measure:
    """A column: its name, the axis it belongs to ('motion' or 'visual'), its unit and what it says."""
    name: str
    axis: str
    unit: str
    meaning: str


MEASURES = (
    Measure('motion_top', 'motion', 'diagonals / s', "path of the 5 % of the pixels that move most, without the camera's shaking"),
    Measure('motion_mean', 'motion', 'diagonals / s', 'mean path of all pixels'),
    Measure('motion_camera', 'motion', 'diagonals / s', "the camera's part: one affine motion of the whole picture, without its shaking"),
    Measure('motion_object', 'motion', 'diagonals / s', "path of the 5 % of the pixels that move most against the camera's motion"),
    Measure('motion_change', 'motion', 'grey levels', "mean change of the blurred picture in 1/4 s, as in VMAF's motion feature"),
    Measure('jerk', 'motion', 'diagonals / s³', "mean change of a place's acceleration: shaking, stutter"),
    Measure('frozen', 'motion', 'share', 'of the time in which nothing changes'),
    Measure('repeated', 'motion', 'share', 'of the frames in the file that repeat the one before'),
    Measure('cuts', 'motion', '1 / s', 'cuts inside the clip'),
    Measure('motion_codec', 'motion', 'diagonals / s', "mean length of the codec's motion vectors; null if there are none, or unasked"),
    Measure('detail', 'visual', 'share', 'of the picture with visible detail at two fixed scales'),
    Measure('noise', 'visual', 'grey levels', 'of white noise, as seen at 64 pixels a side'),
    Measure('blockiness', 'visual', 'ratio', "how much higher luma jumps at the borders of the codec's blocks"),
    Measure('banding', 'visual', 'share', 'of the picture on false contours'),
    Measure('true_resolution', 'visual', 'share', "of the picture's width and height that its detail fills: low where it was scaled up"),
    Measure('niqe', 'visual', 'distance', 'of local statistics from those of pristine pictures; lower is better'),
    Measure('brightness', 'visual', 'share', 'mean luma'),
    Measure('contrast', 'visual', 'share', 'from the 5th to the 95th percentile of luma'),
    Measure('clipped', 'visual', 'share', 'of the pixels that are black or white beyond telling'),
    Measure('colourfulness', 'visual', 'grey levels', '0 for grey'),
    Measure('interlaced', 'visual', 'share', 'of the frames whose alternate lines are of two moments; telecined film has .4'),
    Measure('letterbox', 'visual', 'share', "of the frame that bars cover"),
    Measure('overlay', 'visual', 'share', 'of the frame under text, or logos that stay while the picture moves; null if undecided'),
    Measure('halos', 'visual', 'share', "of its step that the mean edge overshoots by on both sides: sharpening, ringing"),
)


def motion_score(raw, *, camera=True):
    """motion, frame diagonals a second: motion_top, or motion_object where the camera's motion is not to count."""
    return raw['motion_top' if camera else 'motion_object']


def visual_score(raw):
    """visual, in [0, 1]: detail (1 - letterbox) (0.95 + 0.05 true_resolution) / (1 + noise / 2 + blockiness / 4 + banding / 0.2
    + (halos - 0.05) / 0.8).

    The share of the frame that shows something of a scene, less what makes it ugly; each of the four halves it at its constant, and a
    picture that was scaled up lacks a little, which tells it from the smaller one where that has no fine detail. Halos count
    from 0.05, which many a lens leaves, to 0.6: what is beyond is a drawing, or text. The constants are calibrated on the rendered
    library, whose truth is known, that of halos on real clips that were sharpened, and held against others (docs/results/scoring.md).
    """
    ugly = raw['noise'] / NOISE_HALF + raw['blockiness'] / BLOCK_HALF + raw['banding'] / BAND_HALF
    halos = max(0.0, min(raw['halos'], MOST_HALOS) - USUAL_HALOS) / HALO_HALF
    return raw['detail'] * (1 - raw['letterbox']) * (1 - UPSCALED * (1 - raw['true_resolution'])) / (1 + ugly + halos)
