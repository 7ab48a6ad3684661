"""Files of tensors: what is in them, and where."""
