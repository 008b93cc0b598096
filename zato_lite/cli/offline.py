"""Reads without a server: built-in services over a copy of the project's store."""

import asyncio
import json
import tempfile
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any, Self

from zato_lite.app import App, open_app
from zato_lite.cli.client import AnswerError
from zato_lite.clock import SystemClock
from zato_lite.config import Scheduler, Settings, Store, load_project
from zato_lite.errors import ConfigError, ZatoLiteError
from zato_lite.store.backup import copy_file
from zato_lite.store.location import existing_path_of
from zato_lite.wire import encode


class OfflineStore:
    """The copy of a store, which answers as a server without jobs would."""

    def __init__(self, stack: ExitStack, runner: asyncio.Runner, app: App) -> None:
        self._stack, self._runner, self._app = stack, runner, app

    @classmethod
    def of(cls, project: Path) -> Self | None:
        """Return the copy of a project's store; None if it has no file."""
        with suppress(ConfigError), ExitStack() as stack:
            file = existing_path_of(project, load_project(project).store.url)
            if file is None:
                return None
            copy = Path(stack.enter_context(tempfile.TemporaryDirectory())) / "store.db"
            copy_file(file, copy)
            runner = stack.enter_context(asyncio.Runner())
            opening = open_app(
                None,
                Settings(store=Store(f"sqlite:///{copy}"), scheduler=Scheduler(enabled=False)),
            )
            app = runner.run(opening.__aenter__())
            stack.callback(lambda: runner.run(opening.__aexit__(None, None, None)))
            return cls(stack.pop_all(), runner, app)
        return None

    @property
    def now(self) -> float:
        """The machine's time, in seconds since 1970."""
        return SystemClock().now() / 1e6

    def invoke(self, service: str, payload: str) -> str:
        """Invoke a built-in service that only reads; return the text of its answer."""
        sent: Any = json.loads(payload)
        try:
            answer = self._runner.run(self._app.invoker.invoke(service, sent))
        except ZatoLiteError as error:
            raise AnswerError(error.status, str(error)) from error
        return encode(answer).decode()

    def close(self) -> None:
        """Delete the copy."""
        self._stack.close()
