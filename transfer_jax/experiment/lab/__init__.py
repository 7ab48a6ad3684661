"""One target with its sources: its arrays, the fits that methods share, and measurements made from these fits."""
