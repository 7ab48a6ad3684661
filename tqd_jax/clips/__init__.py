"""Files to frames: where clips are, what they show when, and the library that the package renders itself."""
