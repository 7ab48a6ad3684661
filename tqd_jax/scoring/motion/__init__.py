"""How much moves in a clip, and how."""
