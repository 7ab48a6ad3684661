"""The evidence: studies of what the papers claim, on a rendered world whose truth is known."""
