"""What a clip is worth, and for which timesteps: motion, look, normaliser, law."""
