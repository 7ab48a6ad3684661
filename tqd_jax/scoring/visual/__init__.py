"""How good a clip looks."""
