"""Files of a new project."""

from collections.abc import Iterator
from pathlib import Path

import click

from zato_lite.errors import ConfigError, ConflictError

_FILES = {
    "services/hello.py": '''\
from zato_lite import Service


class Hello(Service):
    """Return a greeting; invoke it as hello.hello."""

    async def handle(self):
        sent = self.request.payload
        name = sent.get("name", "world") if isinstance(sent, dict) else "world"
        self.logger.info("Saying hello to %s", name)
        self.response.payload = {"message": f"Hello, {name}!"}
''',
    "config/zato-lite.toml": """\
# The environment overrides each key: ZATO_LITE_SERVER__PORT=8000.

[server]
# port = 17010

[store]
# url = "sqlite:///data/zato-lite.db"

[user]
# Your own settings, which services read as self.config
""",
    "config/jobs.yaml": """\
# Jobs that are created or updated when the server starts, and when this file changes.
scheduler:
  - name: hello-every-minute
    service: hello.hello
    job_type: interval_based
    start_date: '2026-01-01 00:00:00'
    minutes: 1
    extra: '{"name": "scheduler"}'
""",
    ".gitignore": "data/\n__pycache__/\n",
}


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
def init(folder: Path) -> None:
    """Create a project in FOLDER, with a service and a job."""
    for path in create(folder):
        click.echo(path)
    enter = "" if folder.resolve() == Path.cwd() else f"cd {folder} && "
    click.echo(f"\nNext: {enter}zato-lite serve")


def create(folder: Path) -> Iterator[Path]:
    """Write the files of a new project and yield their paths.

    Raises:
        ConflictError: a file exists already; nothing is written.
        ConfigError: a file cannot be written.
    """
    paths = {folder / name: text for name, text in _FILES.items()}
    if existing := [str(path) for path in paths if path.exists()]:
        raise ConflictError(f"{', '.join(existing)} exists already")
    for path, text in paths.items():
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        except OSError as error:
            raise ConfigError(f"{path} cannot be written: {error.strerror}") from error
        yield path
