"""How each published Wan text-to-video model is sampled by its authors: sizes, steps, shift, guidance, negative prompt."""
import dataclasses

from tqd_jax.diffusion.sampler import Sampling

# of every published model, in the language that it was trained with; it is used where a user gives no other
NEGATIVE = ('色调艳丽，过曝，静态，细节模糊不清，字幕，风格，作品，画作，画面，'
            '静止，整体发灰，最差质量，低质量，JPEG压缩残留，丑陋的，残缺的，多余的手指，画得不好的手部，'
            '画得不好的脸部，畸形的，毁容的，形态畸形的肢体，手指融合，静止不动的画面，杂乱的背景，三条腿，背景人很多，倒着走')


@dataclasses.dataclass(frozen=True, kw_only=True)
class Defaults:
    """What a published model is sampled with. sizes: (height, width) in pixels, the first by default; fps: frames a second."""
    sizes: tuple
    frames: int
    fps: int
    sampling: Sampling
    negative: str = NEGATIVE


def _wan(**changes):
    return Sampling(**{'steps': 50, 'solver': 'unipc', 'grid': 'original', 'integer_time': True, 'shift': 5.0, 'guidance': 5.0,
                       'guidance_batched': False, **changes})


# https://github.com/Wan-Video/Wan2.1 and Wan2.2: generate.py and wan/configs
DEFAULTS = {
    '2.1 1.3B': Defaults(sizes=((480, 832),), frames=81, fps=16, sampling=_wan()),
    '2.1 14B': Defaults(sizes=((720, 1280), (480, 832)), frames=81, fps=16, sampling=_wan()),
    '2.2 A14B': Defaults(sizes=((720, 1280), (480, 832)), frames=81, fps=16,
                         sampling=_wan(steps=40, shift=12.0, guidance=3.0, guidance_high=4.0, boundary=0.875)),
    '2.2 TI2V-5B': Defaults(sizes=((704, 1280),), frames=121, fps=24, sampling=_wan()),
}
