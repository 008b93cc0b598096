"""Code of the documentation, as modules for tests."""

import re
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

DOCS = Path(__file__).parent.parent / "docs"


def documented(page: str, heading: str) -> dict[str, Any]:
    """Return the names that the first block of Python below a heading of a page defines."""
    text = (DOCS / page).read_text("utf-8").partition(heading)[2]
    module = ModuleType("documented")
    sys.modules[module.__name__] = module  # type annotations are looked up there
    block = re.findall(r"```python\n(.*?)```", text, re.DOTALL)[0]
    exec(compile(block, page, "exec"), module.__dict__)  # noqa: S102 - our own text
    return module.__dict__
