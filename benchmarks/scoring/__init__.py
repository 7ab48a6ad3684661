"""How well scores order copies of clips, and the cost of scoring."""
