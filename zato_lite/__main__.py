"""``python -m zato_lite`` is ``zato-lite``."""

from zato_lite.cli.main import main

main()
