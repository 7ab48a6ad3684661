"""Pages and figures from what a run or a scoring left behind."""
