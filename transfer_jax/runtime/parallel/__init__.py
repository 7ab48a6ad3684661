"""Devices and hosts: the mesh, shardings, the cores of this process."""
