"""Lets Nova's libvirt driver attach volumes over NBD, as Andiron serves them.

activation.py brings the driver into nova-compute; volume.py is the driver. See README.md for what an operator does.
"""
