"""Single formats of array files, and what is done to their columns and labels before they are domains."""
