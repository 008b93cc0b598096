"""Tables of the deployment plan: a situation of files and offers, and the next actions."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from zato_lite.deploy.files import Source
from zato_lite.deploy.ownership import SERVICE, Claim
from zato_lite.deploy.plan import (
    Action,
    FileState,
    Hold,
    Import,
    Refuse,
    Situation,
    Swap,
    imports_of,
    in_order,
    plan,
)

A, B, C = Path("a.py"), Path("b.py"), Path("c.py")
X, Y = Claim(SERVICE, "x"), Claim(SERVICE, "y")
GET = Claim("Channel", "GET /x")
OLD, NEW = (1, 1, 1), (2, 2, 2)


def new(path: Path, *imports: Path, **fields: Any) -> FileState:
    """A file whose version on disk was not tried yet."""
    return FileState(Source(NEW, path.stem), frozenset(imports), **fields)


def served(path: Path, *imports: Path, **fields: Any) -> FileState:
    """A file whose version on disk is the one that is served."""
    return new(path, *imports, **{"is_asked": False, "tried": NEW, **fields})


IMPORTS: dict[str, tuple[Situation, list[Action]]] = {
    "a new file": (Situation({A: new(A)}), [Import(A)]),
    "a file that is served": (Situation({A: served(A)}), []),
    "a file and what imports it, directly or not": (
        Situation({A: new(A), B: served(B, A), C: served(C, B)}),
        [Import(A), Import(B, if_stale=True), Import(C, if_stale=True)],
    ),
    "a file that imports one with a new version": (
        Situation({A: served(A), B: served(B, A, is_stale=True)}, offers={A: [X]}),
        [Import(B)],
    ),
    "a circle": (Situation({A: new(A, B), B: new(B, A)}), [Import(A), Import(B)]),
    "one that is being imported": (Situation({A: new(A)}, loading={A}), []),
    "those that wait for it, directly or not, and one that does not": (
        Situation({A: new(A), B: new(B, A), C: new(C, B), Path("d"): new(Path("d"))}, {}, {A}),
        [Import(Path("d"))],
    ),
    "a served file that imports a slow one": (
        Situation({A: new(A), B: served(B, A)}, loading={A}),
        [],
    ),
    "a file that imports one that hung, but of which an earlier version is served": (
        Situation({A: served(A, is_hung=True, claims=(X,)), B: new(B, A)}),
        [Import(B)],
    ),
    "one that hung and has changed": (
        Situation({A: new(A, is_hung=True), B: new(B, A)}),
        [Import(A), Import(B)],
    ),
    "one that was refused a claim which becomes free": (
        Situation({A: served(A, wanted=X), B: served(B, claims=(X,))}, offers={B: [Y]}),
        [Import(A)],
    ),
    "one that was refused a claim which a setting owns": (
        Situation({A: served(A, wanted=X)}, taken={"settings": [X]}),
        [],
    ),
    "one that was refused a free claim twice in this refresh": (
        Situation(
            {A: served(A, wanted=X), B: served(B, claims=(X,))}, offers={B: [Y]}, failed={A: 2}
        ),
        [Swap((B,), ())],
    ),
    "one that was refused a claim of a deleted file": (
        Situation({A: served(A, wanted=X), B: served(B, claims=(X,), is_gone=True)}),
        [Import(A)],
    ),
    "one that was refused a claim which another file takes over": (
        Situation(
            {A: served(A, wanted=X), B: served(B, is_gone=True, claims=(X,)), C: new(C)},
            offers={C: [X]},
        ),
        [Swap((C,), (B,))],
    ),
}


@pytest.mark.parametrize(("now", "expected"), IMPORTS.values(), ids=IMPORTS.keys())
def test_imports_come_first(now: Situation, expected: list[Action]) -> None:
    assert list(plan(now)) == expected


def test_files_that_import_one_that_hung_are_refused_one_after_the_other() -> None:
    files = {A: served(A, is_hung=True), B: new(B, A), C: new(C, B)}

    actions = plan(Situation(files))

    texts = [(it.path, str(it.error), it.is_hung) for it in actions if isinstance(it, Refuse)]
    assert texts == [
        (B, "it imports a.py, whose import did not finish", True),
        (C, "it imports b.py, whose import did not finish", True),
    ]


REFUSALS: dict[str, tuple[Situation, Mapping[Path, Claim]]] = {
    "a name of another file": (
        Situation({A: served(A, claims=(X,)), B: new(B)}, {B: [Y, X]}),
        {B: X},
    ),
    "a channel of the settings": (
        Situation({A: new(A)}, {A: [GET]}, taken={"s": [GET]}),
        {A: GET},
    ),
    "of two offers the second": (Situation({A: new(A), B: new(B)}, {A: [X], B: [X]}), {B: X}),
    "of two offers the one that did not have it": (
        Situation({A: new(A), B: new(B, claims=(X,))}, {A: [X], B: [X]}),
        {A: X},
    ),
}


@pytest.mark.parametrize(("now", "expected"), REFUSALS.values(), ids=REFUSALS.keys())
def test_offers_of_what_others_own_are_refused(
    now: Situation, expected: Mapping[Path, Claim]
) -> None:
    assert {it.path: it.wanted for it in plan(now) if isinstance(it, Refuse)} == expected


SWAPS: dict[str, tuple[Situation, list[Action]]] = {
    "all offers and removals together": (
        Situation({A: new(A), B: new(B), C: served(C, is_gone=True)}, {B: [X], A: [Y]}),
        [Swap((B, A), (C,))],
    ),
    "a name that changes hands": (
        Situation({A: new(A, claims=(X,)), B: new(B, claims=(Y,))}, {A: [Y], B: [X]}),
        [Swap((A, B), ())],
    ),
    "a name of a deleted file": (
        Situation({A: served(A, claims=(X,), is_gone=True), B: new(B)}, {B: [X]}),
        [Swap((B,), (A,))],
    ),
    "a lost service, outside of editing": (
        Situation({A: new(A, claims=(X, Y))}, {A: [X]}),
        [Swap((A,), ())],
    ),
    "a lost service, while files are edited": (
        Situation({A: new(A, claims=(X, Y))}, {A: [X]}, is_cautious=True),
        [Hold(A)],
    ),
    "a lost service that another file offers": (
        Situation({A: new(A, claims=(X,)), B: new(B)}, {A: [], B: [X]}, is_cautious=True),
        [Swap((A, B), ())],
    ),
    "a lost service that is confirmed": (
        Situation({A: new(A, claims=(X,), confirmed=NEW)}, {A: []}, is_cautious=True),
        [Swap((A,), ())],
    ),
    "a lost service that was confirmed of an earlier version": (
        Situation({A: new(A, claims=(X,), confirmed=OLD)}, {A: []}, is_cautious=True),
        [Hold(A)],
    ),
    "a lost channel": (
        Situation({A: new(A, claims=(X, GET))}, {A: [X]}, is_cautious=True),
        [Swap((A,), ())],
    ),
}


@pytest.mark.parametrize(("now", "expected"), SWAPS.values(), ids=SWAPS.keys())
def test_offers_are_swapped_in_whole_or_held_back(now: Situation, expected: list[Action]) -> None:
    assert list(plan(now)) == expected


def test_imports_are_found_by_module_names() -> None:
    files = {
        A: Source(NEW, "a", frozenset({"b", "json", "a"})),
        B: Source(NEW, "pack.b", frozenset({"a"})),
    }

    assert imports_of(files) == {A: frozenset(), B: frozenset({A})}


def test_files_come_after_those_that_they_import() -> None:
    assert in_order({A: {C}, B: set(), C: {B}}) == [B, C, A]
    assert in_order({A: {B}, B: {A}}) == [B, A]
