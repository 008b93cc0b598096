import subprocess
import sys
from pathlib import Path

import pytest

import zato_lite


def test_the_stub_for_type_checkers_declares_the_public_names() -> None:
    stub = Path(zato_lite.__file__).with_suffix(".pyi").read_text()
    lines = [
        f"from {home} import {name} as {name}\n"
        for name, home in vars(zato_lite)["_HOMES"].items()
    ]

    assert stub == "".join([*lines, "\n__version__: str\n"])  # to renew the stub, write this


def test_every_public_name_can_be_imported() -> None:
    names: list[str] = vars(zato_lite)["__all__"]

    assert all(getattr(zato_lite, name) is not None for name in names)
    assert {*names} <= {*dir(zato_lite)}


def test_other_names_are_refused() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'Nothing'"):
        _ = zato_lite.Nothing  # type: ignore[attr-defined]


@pytest.mark.e2e
def test_importing_the_package_imports_none_of_its_modules() -> None:
    code = "import sys, zato_lite; print([m for m in sys.modules if m.startswith('zato_lite.')])"

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)  # noqa: S603

    assert done.stdout.strip() == "[]"
