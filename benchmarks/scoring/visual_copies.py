"""Copies that look different and are no better: burnt-in text and bars, sharpening, upscaling, ringing, grain."""
from benchmarks.scoring.kind import Kind

VISUAL_KINDS: tuple[Kind, ...] = ()
