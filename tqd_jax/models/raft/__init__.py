"""Optical flow by RAFT."""
