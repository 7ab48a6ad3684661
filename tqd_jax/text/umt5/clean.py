"""Captions as Wan was trained on them: broken characters repaired, HTML entities read, white space reduced."""
import html
import re

import ftfy


def clean(caption: str) -> str:
    """ftfy.fix_text, HTML entities twice ('&amp;lt;' is '<'), then every run of white space becomes one space and none is at the ends."""
    text = html.unescape(html.unescape(ftfy.fix_text(caption)))
    return re.sub(r'\s+', ' ', text.strip()).strip()
