"""Fits of many replicas as one compiled program."""
