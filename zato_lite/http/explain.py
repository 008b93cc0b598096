"""Explanation of an error of a service, for its developer."""

import traceback
from pathlib import Path
from typing import Any

from zato_lite.errors import ZatoLiteError
from zato_lite.http.message import Response
from zato_lite.log_values import is_framework, safe_text, shown
from zato_lite.wire import decode, encode


def explain(response: Response, error: BaseException, project: Path) -> None:
    """Add the type, the message and the place of an error to its response.

    Frames of the project come first, the innermost of them at the top, then those of libraries.
    """
    message = shown(f"{type(error).__name__}: {safe_text(error)}")
    frames = [*reversed(traceback.extract_tb(error.__traceback__))]
    own = [frame for frame in frames if Path(frame.filename).is_relative_to(project)]
    others = [each for each in frames if each not in own and not is_framework(each.filename)]
    found = own or others or ([] if isinstance(error, ZatoLiteError) else frames)
    first = next(iter(found), None)
    file = _shown(first, project) if first is not None else ""
    line = first.lineno if first is not None else None
    body: dict[str, Any] = decode(response.body)
    body["details"] = f"{message} ({file}:{line})" if file else message
    body["error"] = {
        "type": f"{type(error).__module__}.{type(error).__qualname__}",
        "message": shown(safe_text(error)),
        "file": file,
        "line": line,
        "frames": [
            f"{_shown(each, project)}:{each.lineno} in {each.name}: {shown(each.line or '')}"
            for each in (*own, *others)
        ],
    }
    response.body = encode(body)


def _shown(frame: traceback.FrameSummary, project: Path) -> str:
    path = Path(frame.filename)
    return str(path.relative_to(project) if path.is_relative_to(project) else path)
