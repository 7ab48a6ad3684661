"""What people burn into a picture: watermarks, subtitles, tickers, clocks, logos, bars and frames; all by OpenCV, nothing from a file."""
import cv2
import numpy as np

SANS = cv2.FontFace('sans')
LINES = ('I never said that I would come', 'and you waited all the same?', 'It was the last train.', 'Then we have to walk home')
NEWS = 'BREAKING NEWS  heavy rain in the north, trains are late  +++  markets close higher for a third day  +++  '


def text_mask(size, text, place, height, weight=400, angle=0.0, outline=0):
    """How much a text covers each pixel, float32 [H, W] in [0, 1]; place: its lower left corner (x, y), height: the font's, in pixels."""
    picture = np.zeros((*size, 3), np.uint8)
    cv2.putText(picture, text, (round(place[0]), round(place[1])), (255, 255, 255), SANS, round(height), weight)
    mask = picture[..., 0]
    if outline:
        mask = cv2.dilate(mask, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * outline + 1, 2 * outline + 1)))
    if angle:
        turn = cv2.getRotationMatrix2D((size[1] / 2, size[0] / 2), angle, 1)
        mask = cv2.warpAffine(mask, turn, size[::-1], flags=cv2.INTER_LINEAR)
    return mask.astype(np.float32) / 255


def cover(frames, mask, colour, opacity=1.0):
    """The frames under a colour, as far as mask [H, W] or [F, H, W] and opacity say."""
    share = (opacity * mask)[..., None]
    return np.stack([np.clip(frame * (1 - s) + np.float32(colour) * s, 0, 255).round().astype(np.uint8)
                     for frame, s in zip(frames, np.broadcast_to(share, (len(frames), *share.shape[-3:])), strict=True)])


def watermark(frames, opacity=0.6, text='shutterbox', height=0.1, place=(0.1, 0.55), weight=400, colour=(255, 255, 255)):
    """One text over all frames; height and place in shares of the frame's sides."""
    rows, columns = frames.shape[1:3]
    mask = text_mask((rows, columns), text, (place[0] * columns, place[1] * rows), height * min(rows, columns), weight)
    return cover(frames, mask, colour, opacity)


def tiled(frames, opacity=0.3, text='stock preview', height=0.05, angle=30.0, colour=(255, 255, 255)):
    """The same text in rows over all of the picture, turned."""
    rows, columns = frames.shape[1:3]
    side, size = int(1.5 * max(rows, columns)), height * min(rows, columns)
    mask = np.zeros((side, side), np.float32)
    for number, y in enumerate(np.arange(size, side, 3.5 * size)):
        for x in np.arange(-(number % 2) * 5 * size, side, 10 * size):
            mask = np.maximum(mask, text_mask((side, side), text, (x, y), size))
    turn = cv2.getRotationMatrix2D((side / 2, side / 2), angle, 1)
    mask = cv2.warpAffine(mask, turn, (side, side))
    top, left = (side - rows) // 2, (side - columns) // 2
    return cover(frames, mask[top:top + rows, left:left + columns], colour, opacity)


def bouncing(frames, fps, opacity=0.8, text='@some_channel', height=0.06):
    """A text that stands in another place every half second."""
    rows, columns = frames.shape[1:3]
    places = np.random.default_rng(3).uniform((0.02, 0.1), (0.5, 0.95), (64, 2)) * (columns, rows)
    masks = [text_mask((rows, columns), text, places[int(2 * i / fps) % 64], height * min(rows, columns)) for i in range(len(frames))]
    return cover(frames, np.stack(masks), (255, 255, 255), opacity)


def subtitles(frames, fps, seconds=1.0, height=0.07, boxed=False, colour=(255, 255, 255), weight=500):
    """A line of text near the bottom, another every `seconds`, outlined or in a dark box, and between two lines for a while none."""
    rows, columns = frames.shape[1:3]
    size, base = height * min(rows, columns), 0.92 * rows
    out = frames.copy()
    for i in range(len(frames)):
        if i / fps % seconds > 0.9 * seconds:
            continue
        line = LINES[int(i / fps / seconds) % len(LINES)]
        left = max(4, (columns - 0.5 * size * len(line)) / 2)
        mask = text_mask((rows, columns), line, (left, base), size, weight)
        if boxed:
            box = np.zeros((rows, columns), np.float32)
            box[int(base - size):int(base + 0.4 * size), int(left - size / 2):int(left + 0.55 * size * len(line))] = 1
            out[i:i + 1] = cover(out[i:i + 1], box, (10, 10, 10), 0.75)
        else:
            edge = text_mask((rows, columns), line, (left, base), size, weight, outline=max(1, round(size / 18)))
            out[i:i + 1] = cover(out[i:i + 1], edge, (0, 0, 0))
        out[i:i + 1] = cover(out[i:i + 1], mask, colour)
    return out


def ticker(frames, fps, height=0.06, speed=0.2, boxed=True):
    """News that run along the lower border, `speed` frame widths a second, over a coloured band or the picture itself."""
    rows, columns = frames.shape[1:3]
    size = height * min(rows, columns)
    strip = text_mask((rows, 8 * columns), 4 * NEWS, (0.6 * columns, 0.96 * rows), size, 600)
    out = frames.copy()
    if boxed:
        out[:, int(0.96 * rows - 1.2 * size):int(0.96 * rows + 0.5 * size)] = (150, 20, 25)
    starts = [int(i / fps * speed * columns) for i in range(len(frames))]
    return cover(out, np.stack([strip[:, start:start + columns] for start in starts]), (255, 255, 255))


def clock(frames, fps, height=0.06):
    """Date and time of a surveillance camera, upper left, by hundredths."""
    rows, columns = frames.shape[1:3]
    size = height * min(rows, columns)
    masks = [text_mask((rows, columns), f'2024-03-07 14:25:{i / fps:05.2f}', (0.03 * columns, 0.04 * rows + size), size)
             for i in range(len(frames))]
    return cover(frames, np.stack(masks), (255, 255, 255))


def logo(frames):
    """A red disc with a name, upper right, opaque."""
    rows, columns = frames.shape[1:3]
    side = min(rows, columns)
    centre, radius = (round(columns - 0.17 * side), round(0.15 * side)), round(0.08 * side)
    out = frames.copy()
    for frame in out:
        cv2.circle(frame, centre, radius, (220, 30, 40), -1, cv2.LINE_AA)
        cv2.circle(frame, centre, radius, (255, 255, 255), max(1, radius // 12), cv2.LINE_AA)
    mask = text_mask((rows, columns), 'TV5', (centre[0] - 0.85 * radius, centre[1] + 0.35 * radius), 0.9 * radius, 700)
    return cover(out, mask, (255, 255, 255))


def text_page(frames, share=0.4):
    """The last part of the clip is a page of white text on black."""
    rows, columns = frames.shape[1:3]
    size, out = 0.08 * rows, frames.copy()
    mask = np.max([text_mask((rows, columns), line, (0.08 * columns, (2 + 1.8 * number) * size), size)
                   for number, line in enumerate(2 * LINES[:3])], axis=0)
    count = int(share * len(frames))
    out[len(out) - count:] = cover(np.zeros_like(out[:count]), mask, (255, 255, 255))
    return out


def bars(frames, colour=(0, 0, 0), share=0.13, sides=False):
    """The borders above and below (or left and right) under a colour."""
    out = frames.copy()
    rows, columns = (round(share * side) for side in frames.shape[1:3])
    if sides:
        out[:, :, :columns] = out[:, :, -columns:] = colour
    else:
        out[:, :rows] = out[:, -rows:] = colour
    return out


def gradient_bars(frames, share=0.13):
    """Bars of a smooth gradient from blue to violet."""
    height, width = frames.shape[1:3]
    ramp = np.linspace(0, 1, width)[None, :, None] * np.ones((height, 1, 1))
    colours = ((1 - ramp) * (20, 40, 160) + ramp * (150, 40, 170)).round().astype(np.uint8)
    out, rows = frames.copy(), round(share * height)
    out[:, :rows], out[:, -rows:] = colours[:rows], colours[-rows:]
    return out


def blurred_sides(frames):
    """The whole picture, smaller, in the middle of its own blurred enlargement, as tall videos are shown in wide frames."""
    height, width = frames.shape[1:3]
    inner = (round(width * 0.56), round(height * 0.56) if width < height else height)
    out = []
    for frame in frames:
        middle = frame[:, (width - inner[0]) // 2:][:, :inner[0]]  # of a wide frame
        middle = middle if inner[1] == height else cv2.resize(frame, inner, interpolation=cv2.INTER_AREA)
        ground = cv2.GaussianBlur(cv2.resize(middle, (width, height)), (0, 0), min(height, width) / 30)
        top, left = (height - middle.shape[0]) // 2, (width - middle.shape[1]) // 2
        ground[top:top + middle.shape[0], left:left + middle.shape[1]] = middle
        out.append(ground)
    return np.stack(out)


def border(frames, share=0.06):
    """An ornament around the picture: two colours and a pattern of beads."""
    height, width = frames.shape[1:3]
    size, out = round(share * min(height, width)), frames.copy()
    plate = np.full((height, width, 3), (200, 170, 90), np.uint8)
    for y in range(size // 2, height, size):
        for x in range(size // 2, width, size):
            cv2.circle(plate, (x, y), size // 3, (90, 40, 20), -1, cv2.LINE_AA)
    inside = np.zeros((height, width), bool)
    inside[size:-size, size:-size] = True
    out[:, ~inside] = plate[~inside]
    return out
