"""What a run needs and takes on machines that are not here: memory from compiling for them, time from a table of chips."""
