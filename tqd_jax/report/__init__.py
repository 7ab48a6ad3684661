"""Pages and figures from the files of a run or of a scoring."""
