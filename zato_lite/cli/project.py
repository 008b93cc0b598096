"""``zato-lite init``: the files of a new project."""

import re
import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path

import click

from zato_lite.cli.render import printed
from zato_lite.errors import ConfigError, ConflictError

_FILES = {
    "services/hello.py": '''\
import msgspec
from zato_lite import Service


class Name(msgspec.Struct):
    name: str = "world"


class Greeting(msgspec.Struct):
    message: str


class Hello(Service[Name, Greeting]):
    """Return a greeting; invoke it as hello.hello, or with GET /hello/{name}."""

    rest = "GET /hello/{name}"

    async def handle(self):
        name = self.request.input.name
        self.logger.info("Saying hello to %s", name)
        self.response.payload = Greeting(f"Hello, {name}!")
''',
    "tests/test_hello.py": """\
from services.hello import Greeting, Hello


async def test_a_greeting(it):
    assert await it.invoke(Hello, name="Ann") == Greeting("Hello, Ann!")


async def test_the_job_ticks_six_times_a_minute(it):
    await it.advance("1m")

    assert [run.outcome for run in await it.runs("tick")] == ["ok"] * 6
""",
    "config/jobs.yaml": """\
# Jobs that are created or updated when the server starts, and when this file changes.
# `zato-lite check` lists its mistakes.
scheduler:
  - name: tick
    service: hello.hello
    job_type: interval_based
    start_date: '2026-01-01 00:00:00'
    seconds: 10
    extra: '{"name": "scheduler"}'
""",
    "pyproject.toml": """\
[project]
name = "NAME"
version = "0.1.0"
requires-python = ">=3.11"
dependencies = ["zato-lite"]

[dependency-groups]
dev = ["zato-lite[test]"]
""",
    "README.md": """\
# NAME

    zato-lite serve                  # serve --dev while you develop
    zato-lite invoke hello.hello name=Ann
    zato-lite job list
    zato-lite check                  # what is wrong with the project
    pip install 'zato-lite[test]' && pytest

| file | content |
|---|---|
| `services/` | services: each file is deployed when it is saved |
| `config/zato-lite.toml` | settings, with their defaults |
| `config/jobs.yaml` | jobs |
| `tests/` | tests in virtual time |
| `data/` | the store: jobs, runs, users |
""",
    "Dockerfile": """\
# zato-lite is on no package index: copy its wheel (`make wheel` in a clone) beside this file.
FROM python:3.13-slim
COPY zato_lite-*.whl /tmp/
RUN pip install --no-cache-dir /tmp/zato_lite-*.whl \\
    && useradd --system --uid 17010 --home-dir /data --no-create-home zato-lite \\
    && install --directory --owner zato-lite --mode 0700 /data
COPY services /project/services
COPY config /project/config
ENV ZATO_LITE_SERVER__HOST=0.0.0.0 \\
    ZATO_LITE_STORE__URL=sqlite:////data/zato-lite.db \\
    ZATO_LITE_STORE__BACKUPS=/data/backups \\
    ZATO_LITE_LOG__FOLDER=/data/log
USER zato-lite
VOLUME /data
EXPOSE 17010
HEALTHCHECK --interval=10s --start-period=20s CMD \\
    ["python", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:17010/healthz')"]
CMD ["zato-lite", "serve", "--project", "/project", "--no-reload"]
""",
    ".dockerignore": "data\n.git\n.venv\n**/__pycache__\n",
    ".gitignore": "data/\n.venv/\n__pycache__/\n.pytest_cache/\n",
}


@click.command()
@click.argument("folder", type=click.Path(path_type=Path), default=Path())
@click.option("--missing", is_flag=True, help="Write only the files that do not exist yet.")
def init(folder: Path, *, missing: bool) -> None:
    """Create a project in FOLDER, with a service and a job.

    FOLDER is the current folder by default. It may exist; no file of it is overwritten.
    """
    for path in create(folder, only_missing=missing):
        click.echo(printed(str(path)))
    place = shlex.quote(f"./{folder}" if str(folder).startswith("-") else str(folder))
    enter = "" if folder.resolve() == Path.cwd() else f"cd {place} && "
    click.echo(f"\nNext: {enter}zato-lite serve")


def create(folder: Path, *, only_missing: bool = False) -> Iterator[Path]:
    """Write the files of a new project and yield their paths.

    Raises:
        ConflictError: a file exists already; nothing is written.
        ConfigError: a file cannot be written.
    """
    paths = {folder / name: text for name, text in _texts(folder).items()}
    existing = [path for path in paths if path.exists()]
    if existing and not only_missing:
        shown = ", ".join(map(str, existing))
        words = "choose another folder, or use --missing to write only the other files"
        raise ConflictError(f"{shown} exists already; {words}")
    for path, text in paths.items():
        if path in existing:
            continue
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        except OSError as error:
            raise ConfigError(f"{path} cannot be written: {error.strerror}") from error
        yield path


def _texts(folder: Path) -> Mapping[str, str]:
    """Return the texts of the files, by their names."""
    from zato_lite.cli.settings_text import settings_text  # noqa: PLC0415 - --help is quick

    name = re.sub(r"[^A-Za-z0-9]+", "-", folder.resolve().name).strip("-").lower() or "project"
    name += "-project" * (name == "zato-lite")  # a project cannot depend on itself
    texts = {file: text.replace("NAME", name) for file, text in _FILES.items()}
    return {**texts, "config/zato-lite.toml": settings_text()}
