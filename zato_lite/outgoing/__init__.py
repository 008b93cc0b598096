"""Outgoing connections by name: each a thin layer over a library, imported where configured."""
