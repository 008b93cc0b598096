"""Readers of other schedulers' files: one module a format, with ``read(document, options)``."""
