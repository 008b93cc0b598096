"""Nodes: their rows, and the lock files that prove which of them are alive."""

import fcntl
import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from zato_lite.store.bell_files import FileBells
from zato_lite.store.dialect import SKIPPING_LOCKED
from zato_lite.store.journal import Journal, StartJournal, read_journal
from zato_lite.store.migrate import migrations
from zato_lite.store.ports import Connection
from zato_lite.store.rows import NodeRow
from zato_lite.store.sql import advance, execute, fetch_value, read_rows, save_setting
from zato_lite.timetable.job import Instant

_LEFT_AT = "scheduler.left_at"


def new_node_id(connection: Connection) -> int:
    """Return an unused id for a node."""
    return advance(connection, "node", 1)[0]


def register_node(connection: Connection, row: NodeRow, program: str) -> None:
    """Record that a node has started, with its program and the schema that this knows."""
    schema = migrations(connection.dialect)[-1].number
    execute(
        connection,
        "INSERT INTO node (id, name, pid, started_at, seen_at, services, program, schema)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (row.id, row.name, row.pid, row.started_at, row.seen_at, row.services, program, schema),
    )


def record_services(connection: Connection, node: int, services: str) -> None:
    """Record which services a node has from now on."""
    execute(connection, "UPDATE node SET services = ? WHERE id = ?", (services, node))


def join_services(names: Iterable[str]) -> str:
    """Return the names of a node's services as its record has them."""
    return "\n".join(sorted(names))


def services_elsewhere(own: str, others: Iterable[NodeRow]) -> frozenset[str]:
    """Return the services that other nodes have and this one lacks."""
    found = {name for row in others for name in row.services.splitlines()}
    return frozenset(found.difference(own.splitlines()))


def unregister_node(connection: Connection, node: int, now: Instant) -> None:
    """Record that a node has stopped."""
    execute(connection, "DELETE FROM node WHERE id = ?", (node,))
    record_last_seen(connection, now)


def record_last_seen(connection: Connection, instant: Instant) -> None:
    """Record the last instant at which a node was alive that has no record any more."""
    save_setting(connection, _LEFT_AT, str(instant))


def last_seen(connection: Connection) -> Instant | None:
    """Return the last instant at which any node is known to have been alive, or None."""
    found = fetch_value(
        connection,
        "SELECT max(at) FROM (SELECT CAST(value AS BIGINT) AS at FROM setting WHERE name = ?"
        " UNION ALL SELECT seen_at FROM node"
        " UNION ALL SELECT CASE WHEN finished_at > claimed_at THEN finished_at"
        " ELSE claimed_at END FROM (SELECT * FROM run ORDER BY id DESC LIMIT 100) latest) seen",
        (_LEFT_AT,),
    )
    return None if found is None else int(found)


def record_seen(connection: Connection, node: int, now: Instant) -> None:
    """Record that a node is alive."""
    execute(connection, "UPDATE node SET seen_at = ? WHERE id = ?", (now, node))


_DELETE_NODE = f"""DELETE FROM node WHERE id IN
    (SELECT id FROM node WHERE id = ? AND serial = ? {SKIPPING_LOCKED})"""


def delete_nodes(connection: Connection, nodes: Iterable[NodeRow]) -> None:
    """Delete nodes that were found dead, unless they have committed since then or will now."""
    for node in nodes:
        execute(connection, _DELETE_NODE, (node.id, node.serial))


def list_nodes(connection: Connection) -> list[NodeRow]:
    """Return the live nodes, and dead ones that are not yet deleted."""
    return read_rows(
        connection,
        "SELECT id, name, pid, started_at, seen_at, serial, services FROM node ORDER BY id",
        (),
        NodeRow,
    )


class NodeLocks:
    """Lock files beside a database file; a database in memory has only one node.

    The kernel releases a lock exactly when its process ends, however it ends: a dead node is
    known immediately, and a slow one is never mistaken for a dead one.
    """

    needs_stamps = False
    trusts_itself = True
    """A lock is held for as long as its process lives: no other node takes its runs over."""

    def __init__(self, database: str) -> None:
        self._database = None if database == ":memory:" else os.path.realpath(database)
        self._held: dict[int, int] = {}
        self._journals: dict[int, StartJournal] = {}
        self._bells = FileBells(self._path)
        self.on_buried: Callable[[], None] = lambda: None

    def alone(self) -> "NodeLocks":
        """Return locks in memory that know only their own nodes, but the same journals."""
        locks = NodeLocks(":memory:")
        locks._journals = self._journals
        return locks

    def take(self, node: int) -> StartJournal:
        """Lock the node's file until it is released or the process ends; return its journal."""
        file = -1
        if self._database is not None:
            file = os.open(self._path(node), os.O_RDWR | os.O_CREAT, 0o600)
            fcntl.flock(file, fcntl.LOCK_EX)
        self._held[node] = file
        journal = StartJournal(file)
        if self._database is None:
            self._journals[node] = journal
        return journal

    def enter(self, node: int) -> None:
        """Nothing: the lock is held already, so that no node takes the record for a dead one's."""

    def release(self, node: int) -> None:
        """Release the node's lock and delete its file."""
        if node in self._held:
            self.forget([node])
            self.abandon(node)

    def abandon(self, node: int) -> None:
        """Release the node's lock and leave its file, as the kernel does for a killed process."""
        file = self._held.pop(node, -1)
        self._bells.silence(node)
        if file >= 0:
            fcntl.flock(file, fcntl.LOCK_UN)  # the journal's mapping has a copy of the file
            os.close(file)

    def journal_of(self, node: int) -> Journal | None:
        """Return what the journal of a dead node says; None if it says nothing."""
        if self._database is not None:
            return read_journal(self._path(node))
        return self._journals[node].read() if node in self._journals else None

    def forget(self, nodes: Iterable[int]) -> None:
        """Delete the files of nodes whose runs have been recovered."""
        for node in nodes:
            self._journals.pop(node, None)
            if self._database is not None:
                self._path(node).unlink(missing_ok=True)
                self._bells.remove(node)

    def alive(self, known: Sequence[NodeRow]) -> list[int]:
        """Return the nodes whose processes are alive."""
        return [row.id for row in known if row.id in self._held or self._is_held(row.id)]

    def ring(self, node: int, text: str = "") -> None:
        """Wake another node of the same file."""
        if self._database is not None:
            self._bells.ring(node, text)

    def listen(self, node: int, listener: Callable[[str], None]) -> None:
        """Have ``listener`` called with each text that is rung at this node."""
        if self._database is not None:
            self._bells.listen(node, listener)

    def _is_held(self, node: int) -> bool:
        if self._database is None:
            return False
        try:
            file = os.open(self._path(node), os.O_RDWR)
        except FileNotFoundError:
            return False
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        else:
            return False
        finally:
            os.close(file)

    def _path(self, node: int) -> Path:
        return Path(f"{self._database}-node-{node}")
