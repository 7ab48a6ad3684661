"""What gradients say of clips: alignment, and laws learned from it."""
