import re
import subprocess
import sys
from pathlib import Path

import pytest

import zato_lite


def test_every_public_name_is_declared_and_there() -> None:
    stub = (Path(zato_lite.__file__).parent / "__init__.pyi").read_text()
    declared = {*re.findall(r"^from \S+ import (\w+) as \1$", stub, re.MULTILINE)}

    assert declared == {name for name in zato_lite.__all__ if not name.startswith("_")}
    assert all(getattr(zato_lite, name) is not None for name in zato_lite.__all__)
    assert {*zato_lite.__all__} <= {*dir(zato_lite)}


def test_other_names_are_not_there() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'Nothing'"):
        _ = zato_lite.Nothing  # type: ignore[attr-defined]


@pytest.mark.e2e
def test_importing_the_package_imports_none_of_its_rooms() -> None:
    code = "import sys, zato_lite; print([m for m in sys.modules if m.startswith('zato_lite.')])"

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)  # noqa: S603

    assert done.stdout.strip() == "[]"
