"""The command ``zato-lite``."""
