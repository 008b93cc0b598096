"""``python -m zato_lite`` is ``zato-lite``."""
