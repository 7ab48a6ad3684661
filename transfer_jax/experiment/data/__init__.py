"""Domains: files and folders of people -> inputs and labels, split for every seed."""
