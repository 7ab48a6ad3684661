"""What a user chooses about pictures: what shows through transparent ones, and whether interlaced ones are deinterlaced."""
import dataclasses

PICTURES = 2  # of the pictures that the same file gives: raise it, and cached frames and latents of another version are made anew
BACKGROUNDS = {'black': 0, 'white': 255}
DEINTERLACING = ('never', 'flagged', 'always')


@dataclasses.dataclass(frozen=True, kw_only=True)
class PictureOptions:
    """What shows through transparent pictures, one of BACKGROUNDS, and which frames are deinterlaced, one of DEINTERLACING.

    deinterlace: never; flagged: the frames that the file marks as interlaced; always: every frame, for files whose marks are wrong.
    Raises ValueError on another text.
    """
    background: str = 'black'
    deinterlace: str = 'never'

    def __post_init__(self):
        if self.background not in BACKGROUNDS or self.deinterlace not in DEINTERLACING:
            raise ValueError(f'background is one of {", ".join(BACKGROUNDS)} and deinterlace one of {", ".join(DEINTERLACING)}, got '
                             f'{self.background!r} and {self.deinterlace!r}')

    @property
    def version(self):
        """Text that differs where pictures of the same file may: PICTURES, and each option that is not the default."""
        changed = [value for field in dataclasses.fields(self) if (value := getattr(self, field.name)) != field.default]
        return '-'.join([str(PICTURES), *changed])
