"""The clips that a run was trained on against those that the user names now: by content, captions, sources and scores, never by path."""
