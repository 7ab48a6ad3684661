"""The same run by another law, to compare with."""
