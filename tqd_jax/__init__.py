"""When, in noise time, to learn from each clip: timestep-aware quality decoupling for video diffusion."""
