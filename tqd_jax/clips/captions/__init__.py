"""Captions of clips: texts beside them, several of one clip, and what the user is told of them."""
