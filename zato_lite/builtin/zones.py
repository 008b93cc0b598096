"""Service that lists the time zones that jobs can have."""

from collections.abc import Iterable
from functools import cache, lru_cache
from importlib.resources import files
from pathlib import Path
from typing import Annotated, TypedDict
from zoneinfo import TZPATH

from msgspec import Meta

from zato_lite.builtin.input import Input
from zato_lite.builtin.output import iso
from zato_lite.clock import Clock
from zato_lite.service.base import Service
from zato_lite.service.needs import needs
from zato_lite.service.offload import offload_long
from zato_lite.timetable.job import SECOND, Instant
from zato_lite.timetable.zone import to_datetime, zone_names

_LINKS = "tzdata.zi"
_MAX_ZONES = 1_000
_OFFSETS_FOR = 900 * SECOND
"""Microseconds for which offsets are kept: clocks change at full quarters of an hour."""


class ZoneQuery(Input, forbid_unknown_fields=True):
    """Words that the name or an alias of a zone contains."""

    query: Annotated[str, Meta(max_length=100)] = ""
    limit: Annotated[int, Meta(ge=1, le=_MAX_ZONES)] = _MAX_ZONES


class ZoneItem(TypedDict):
    """A time zone: its name, other names of it, and its present offset and abbreviation."""

    name: str
    aliases: list[str]
    offset: str
    abbreviation: str


class Zones(TypedDict):
    """Time zones by name, and the instant of their offsets."""

    zones: list[ZoneItem]
    now_iso: str


class GetZones(Service[ZoneQuery, Zones]):
    """Return the time zones that jobs can have; other names of a zone are its aliases."""

    name = "zato.scheduler.get-zones"
    role = "viewer"
    scope = "own"
    clock = needs(Clock)

    async def handle(self) -> None:
        params, now = self.request.input, self.clock.now()
        words = params.query.lower().replace(" ", "_").split("_")
        items = await offload_long(_items_at, now - now % _OFFSETS_FOR)
        found = [
            item
            for item in items
            if all(word in " ".join((item["name"], *item["aliases"])).lower() for word in words)
        ]
        self.response.payload = {"zones": found[: params.limit], "now_iso": iso(now)}


@lru_cache(maxsize=2)
def _items_at(now: Instant) -> list[ZoneItem]:
    """Return all zones with their offsets at an instant; hundreds of files are read."""
    return [zone_item(name, aliases, now) for name, aliases in names_with_aliases().items()]


def zone_item(name: str, aliases: Iterable[str], now: Instant) -> ZoneItem:
    """Return a zone with its offset at an instant."""
    moment = to_datetime(now, name)
    offset = moment.strftime("%z")
    return {
        "name": name,
        "aliases": list(aliases),
        "offset": f"{offset[:3]}:{offset[3:5]}",
        "abbreviation": moment.tzname() or "",
    }


@cache
def names_with_aliases() -> dict[str, list[str]]:
    """Return the zones by name, each with its other names."""
    links = _read_links()
    found: dict[str, list[str]] = {}
    for name in sorted(zone_names()):
        target = links.get(name)
        if target is None:
            found.setdefault(name, [])
        else:
            found.setdefault(target, []).append(name)
    return dict(sorted(found.items()))


def _read_links() -> dict[str, str]:
    """Return the names that stand for other zones; none if the machine has no list of them."""
    names = zone_names()
    texts = [Path(folder) / _LINKS for folder in TZPATH]
    packaged = files("tzdata.zoneinfo") / _LINKS
    for source in (*texts, packaged):
        if source.is_file():
            lines = source.read_text(encoding="utf-8").splitlines()
            pairs = [line.split() for line in lines if line.startswith("L ")]
            return {pair[2]: pair[1] for pair in pairs if {pair[1], pair[2]} <= names}
    return {}
