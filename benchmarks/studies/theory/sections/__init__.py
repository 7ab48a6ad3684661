"""Sections of the theory study's page, one file each: every section takes the records and returns (claims, lines)."""
