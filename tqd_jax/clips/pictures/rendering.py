"""How the frames of one file become pictures as a player shows them: colours, transparency, pixel aspect, orientation."""
import dataclasses

import cv2
import numpy as np
from av.video.reformatter import ColorRange, Interpolation

from tqd_jax.clips.pictures.aspect import pixel_ratio, shown_size
from tqd_jax.clips.pictures.colour import dynamic_range, matrix_of
from tqd_jax.clips.pictures.options import BACKGROUNDS
from tqd_jax.clips.pictures.orientation import Orientation, orientation_of
from tqd_jax.clips.pictures.tone import Tone, tone_of


@dataclasses.dataclass(frozen=True, kw_only=True)
class Rendering:
    """What all frames of a file have in common. Sizes are (width, height) in pixels.

    stored: of the frames. shown: in square pixels, not yet upright. tone: None where colours are BT.709's. background: the grey level
    behind transparent places, None where the file has none.
    """
    stored: tuple[int, int]
    shown: tuple[int, int]
    orientation: Orientation
    matrix: int
    dynamic_range: str
    tone: Tone | None
    background: int | None

    @property
    def upright(self):
        """(width, height) of the upright picture."""
        return self.orientation.size(*self.shown)

    def size(self, short_side=None):
        """(width, height), not yet upright, of a picture that is shrunk to `short_side` where that is smaller."""
        scale = min(1.0, (short_side or min(self.shown)) / min(self.shown))
        return max(1, round(self.shown[0] * scale)), max(1, round(self.shown[1] * scale))

    def picture(self, frame, reformatter, size):
        """uint8 RGB [H, W, 3] of a frame, upright, of `size` before it is turned: by area averaging where that is smaller."""
        if self.background is not None:
            return self.orientation.apply(_resized(self._over_background(frame, reformatter), size))
        rgb = _resized(self._rgb(frame, reformatter, self.stored), size)
        return self.orientation.apply(self.tone.apply(rgb) if self.tone else rgb)

    def quick(self, frame, reformatter, size):
        """Nearly the same, shrunk straight from the file's own colours: ten times as fast for a small size."""
        if self.background is not None:
            return self.picture(frame, reformatter, size)
        rgb = self._rgb(frame, reformatter, size)
        return self.orientation.apply(self.tone.apply(rgb) if self.tone else rgb)

    def _rgb(self, frame, reformatter, size, alpha=''):
        """RGB, and alpha where 'a' is asked, of a size: uint16 where a Tone is to follow, else uint8."""
        pixels = f'rgb{alpha}64le' if alpha else 'rgb48le'
        return reformatter.reformat(frame, width=size[0], height=size[1], format=pixels if self.tone else f'rgb{alpha or "24"}',
                                    src_colorspace=self.matrix, src_color_range=frame.color_range, dst_color_range=ColorRange.JPEG,
                                    interpolation=Interpolation.AREA, threads=1).to_ndarray()

    def _over_background(self, frame, reformatter):
        """uint8 RGB of the stored size, mixed with the background by alpha."""
        rgba = self._rgb(frame, reformatter, self.stored, 'a')
        share = rgba[..., 3:].astype(np.float32) / np.iinfo(rgba.dtype).max
        rgb = self.tone.apply(np.ascontiguousarray(rgba[..., :3])) if self.tone else rgba[..., :3]
        return np.rint(self.background + share * (rgb - np.float32(self.background))).astype(np.uint8)


def rendering_of(stream, first, options):
    """The Rendering of a stream's frames by the first of them and PictureOptions. Raises BadClip where no player could show them."""
    name = dynamic_range(first, stream.codec_context.codec_tag)
    transparent = any(component.is_alpha for component in first.format.components)
    return Rendering(stored=(first.width, first.height), shown=shown_size(first.width, first.height, pixel_ratio(stream)),
                     orientation=orientation_of(first), matrix=matrix_of(first), dynamic_range=name, tone=tone_of(first, name),
                     background=BACKGROUNDS[options.background] if transparent else None)


def _resized(rgb, size):
    """Shrunk by area averaging in the directions that are to be smaller, then enlarged in the others."""
    height, width = rgb.shape[:2]
    inner = min(width, size[0]), min(height, size[1])
    if inner != (width, height):
        rgb = cv2.resize(rgb, inner, interpolation=cv2.INTER_AREA)
    return rgb if inner == size else cv2.resize(rgb, size, interpolation=cv2.INTER_CUBIC)
