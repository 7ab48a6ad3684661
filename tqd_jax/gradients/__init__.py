"""Gradients of clips: their alignment, and the law that is learned from them."""
