"""How well scores order copies of clips, and what scoring costs."""
