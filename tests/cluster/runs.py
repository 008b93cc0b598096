"""Model of the protocol: one job's runs, claimed, asked for, begun, settled and taken over.

Nodes claim slots ahead, crash, stop at any step and continue; answers of commits come later.
One node changes the job and cancels a run that other nodes have. Time is the number of slots
that have come. A node may be buried at any step, and does not trust itself from then on: ``trust``
shows that serials and expiry achieve this, so that looks and stamps are not in the state here. A
node that lost its trust and was not buried does less than it may, which is one of the paths.

The database is one transaction at a time, each with the stamp of its node. Bells are left out: a
wish is heard at any later step, or, with ``poll`` left out, not at all.

A safeguard that is left out:
    lock        two nodes may claim the same slot
    ahead       the change asks only for runs whose slot is still to come
    hold        the owner gives a run back before it holds it in memory
    freeze      the changing node starts its own runs while the change is written
    trust       a node begins runs although it does not trust itself
    watch       a node is buried although it trusts itself
    stamp       commits of a buried node are accepted
    result      a result is accepted with an older token
    outcome     a result is accepted for a run that has one
    start       a run that waited begins with an older token
    order       a queued run begins before the one that it waits for
    wish        who takes over a run does not look at its wish
    poll        a wish is heard by the bell alone, which may be lost
    takeover    runs of buried nodes stay with them
    slot        runs begin when they are claimed
"""

from collections.abc import Iterator
from itertools import permutations
from typing import NamedTuple

from tests.cluster.explore import Violation

DEAD, FREE = -1, -2
"""The owner of a run whose node was buried, and of one that is left to any node."""

REVOKE, CANCEL, UNHEARD = 1, 2, 9
"""Wishes: give the run back, cancel it; and one whose bell was lost."""


class Run(NamedTuple):
    """A row of the database: a run, or a slot without one (``undecided, skipped, paused``)."""

    owner: int
    token: int = 0
    state: str = "claimed"
    wish: int = 0
    has_begun: int = 0

    @property
    def is_open(self) -> bool:
        """Return True if it is a run without an outcome."""
        return self.state in _OPEN


class Held(NamedTuple):
    """A run in a node's memory.

    Attributes:
        version: of the job's definition with which it will begin.
        place: ``ahead``, ``held``, ``queued``, ``waiting``, ``ready`` (its start is written),
            ``running`` or ``ended``.
    """

    slot: int
    token: int
    version: int
    place: str


class Node(NamedTuple):
    """A node; ``answer`` is what its latest commit will put into its memory."""

    is_up: int = 1
    has_row: int = 1
    trusts: int = 1
    held: tuple[Held, ...] = ()
    answer: tuple[Held, ...] = ()


class State(NamedTuple):
    """A state of the database, the nodes and time.

    Attributes:
        come: number of slots whose instant has come. decided: number of slots up to the cursor.
        changed: 0 before the change, 1 once it is written, 2 once it is acknowledged.
        cancelled: slot and token of the run whose cancellation was acknowledged.
    """

    come: int
    decided: int
    runs: tuple[Run, ...]
    nodes: tuple[Node, ...]
    crashes: int
    stops: int
    changed: int = 0
    cancelled: tuple[int, int] = (-1, -1)


class Bounds(NamedTuple):
    """The bounds of an exploration, and what the job says.

    Attributes:
        stops: burials of nodes that only stood still.
        overlap: ``skip``, ``queue`` or ``cancel``. change: ``pause``, ``edit`` or nothing.
        cancels: the last node cancels a run of another one. endless: runs end when cancelled only.
    """

    nodes: int = 2
    slots: int = 2
    crashes: int = 1
    stops: int = 1
    overlap: str = "skip"
    change: str = "pause"
    cancels: bool = False
    endless: bool = False
    left_out: frozenset[str] = frozenset()


Steps = Iterator[tuple[str, State]]

_OPEN = frozenset({"claimed", "queued", "waiting"})
_UNDECIDED = Run(FREE, 0, "undecided")
_CHANGE = Held(-1, 0, 0, "change")


def start(bounds: Bounds) -> State:
    """Return the first state."""
    nodes = tuple(Node() for _ in range(bounds.nodes))
    return State(0, 0, (_UNDECIDED,) * bounds.slots, nodes, bounds.crashes, bounds.stops)


def steps(bounds: Bounds, state: State) -> Steps:
    """Yield the steps that are possible, each with the state after it."""
    if state.come < bounds.slots:
        yield "time", canonical(state._replace(come=state.come + 1))
    for number, node in enumerate(state.nodes):
        if node.is_up:
            for name, following in _Actor(bounds, state, number).steps():
                yield f"{name} {number}", canonical(following)


def is_stuck_well(bounds: Bounds, state: State) -> str:
    """Return what is wrong with a state in which the nodes have nothing left to do, or nothing."""
    names = (name for name, _ in steps(bounds, state))
    if any(not name.startswith(("crash", "bury")) for name in names):
        return ""
    living = [node for node in state.nodes if node.is_up and node.has_row]
    if not living or any(node.has_row and not node.is_up for node in state.nodes):
        return ""
    if any(run.wish for run in state.runs if run.is_open):
        return "I7: a wish is never heard"
    for slot, run in enumerate(state.runs):
        is_kept = bounds.endless or (run.owner == FREE and state.changed)
        if run.state == "undecided" or (run.is_open and not is_kept):
            return f"I6: slot {slot} is never accounted for"
    return ""


def canonical(state: State) -> State:
    """Return the same state for all that differ in the names of nodes and of tokens only.

    Tokens are numbered from 0 in their order. The last node, which changes the job, is not the
    same as the others.
    """
    state = _with_low_tokens(state)
    others = len(state.nodes) - 1
    if others < 2:
        return state
    return min(_renumbered(state, (*order, others)) for order in permutations(range(others)))


def _with_low_tokens(state: State) -> State:
    used = {(slot, run.token) for slot, run in enumerate(state.runs)} | {state.cancelled}
    for node in state.nodes:
        used.update((held.slot, held.token) for held in (*node.held, *node.answer))
    new: dict[tuple[int, int], int] = {}
    lowest: dict[int, int] = {}
    for slot, token in sorted(used):
        new[slot, token] = lowest.get(slot, 0)
        lowest[slot] = new[slot, token] + 1
    if all(token == low for (slot, token), low in new.items() if slot >= 0):
        return state

    def lowered(helds: tuple[Held, ...]) -> tuple[Held, ...]:
        return tuple(held._replace(token=new[held.slot, held.token]) for held in helds)

    slot, token = state.cancelled
    return state._replace(
        runs=tuple(
            run._replace(token=new[place, run.token]) for place, run in enumerate(state.runs)
        ),
        nodes=tuple(
            node._replace(held=_sorted(lowered(node.held)), answer=lowered(node.answer))
            for node in state.nodes
        ),
        cancelled=(slot, token if slot < 0 else new[slot, token]),
    )


def _renumbered(state: State, order: tuple[int, ...]) -> State:
    new = {old: place for place, old in enumerate(order)}
    return state._replace(
        nodes=tuple(state.nodes[old] for old in order),
        runs=tuple(run._replace(owner=new.get(run.owner, run.owner)) for run in state.runs),
    )


class _Actor:
    """What one node may do in a state."""

    def __init__(self, bounds: Bounds, state: State, number: int) -> None:
        self.bounds, self.state, self.number = bounds, state, number
        self.node = state.nodes[number]
        self.left_out = bounds.left_out
        self.is_asker = number == bounds.nodes - 1

    # Memory

    def steps(self) -> Steps:
        node = self.node
        if self.state.crashes:
            stopped = Node(0, node.has_row, 0)
            yield "crash", self.put(stopped)._replace(crashes=self.state.crashes - 1)
        yield from self.memory()
        if node.answer:
            yield "answer", self.answer()
        elif node.has_row or "stamp" in self.left_out:
            yield from self.commits()
        else:
            yield "enter", self.put(Node())

    def memory(self) -> Steps:
        """Begin and end runs, and hold those that others want: without the database."""
        state = self.state
        for held in self.node.held:
            is_due = held.place == "ahead" and (held.slot < state.come or "slot" in self.left_out)
            if (is_due or held.place == "ready") and (
                self.node.trusts or "trust" in self.left_out
            ):
                self.check_begin(held)
                yield "begin", self.put(self.moved(held, "running"))
            if held.place == "running" and not self.bounds.endless:
                yield "end", self.put(self.moved(held, "ended"))
            run = state.runs[held.slot]
            if run.owner != self.number or run.token != held.token or self.node.answer:
                continue
            if run.wish == REVOKE and held.place == "ahead" and "hold" not in self.left_out:
                yield "hold", self.put(self.moved(held, "held"))
            if run.wish == CANCEL and held.place != "ended":
                yield "cancel", self.put(self.moved(held, "ended"))

    def check_begin(self, held: Held) -> None:
        """Check what must hold when a service is started."""
        state = self.state
        if held.slot >= state.come:
            raise Violation("I5: a run begins before its slot")
        if held.place == "ahead" and state.changed == 2 and not held.version:
            raise Violation("I1: a run begins as it was before an acknowledged change")
        slot, token = state.cancelled
        if held.slot == slot and held.token > token:
            raise Violation("I7: an attempt begins after an acknowledged cancellation")
        for other in state.nodes:
            for each in other.held:
                if each.place == "running" and other.is_up and other.trusts:
                    raise Violation("I2: two runs of the job, or two attempts, run together")
                is_same = each.slot == held.slot and each.token == held.token
                if is_same and each.place in {"running", "ended"}:
                    raise Violation("I3: a token begins twice")

    def answer(self) -> State:
        node = self.node
        if node.answer == (_CHANGE,):
            return self.put(node._replace(answer=()), changed=2)
        slots = {held.slot for held in node.answer}
        kept = tuple(held for held in node.held if held.slot not in slots)
        return self.put(node._replace(held=_sorted((*kept, *node.answer)), answer=()))

    # Commits

    def commits(self) -> Steps:
        yield from self.claim()
        for held in self.node.held:
            yield from self.commits_of(held)
        yield from self.bury()
        yield from self.take_over()
        if self.is_asker:
            yield from self.change()
            yield from self.ask_to_cancel()

    def claim(self) -> Steps:
        state, slot = self.state, self.state.decided
        is_paused = state.changed and self.bounds.change == "pause"
        if "lock" in self.left_out and slot and not is_paused:
            yield from self.claim_slot(slot - 1)
        if slot == self.bounds.slots or slot > state.come:
            return
        has_come = slot < state.come
        before = [run for run in state.runs[:slot] if run.is_open]
        if is_paused or (before and self.bounds.overlap == "skip"):
            if has_come:
                word = "paused" if is_paused else "skipped"
                yield word, self.decide(slot, Run(FREE, 0, word))
        elif not before:
            yield from self.claim_slot(slot)
        elif has_come:
            yield "queue", self.queue_slot(slot)

    def claim_slot(self, slot: int) -> Steps:
        held = Held(slot, self.state.runs[slot].token, self.version, "ahead")
        yield "claim", self.decide(slot, Run(self.number, held.token), held)

    def queue_slot(self, slot: int) -> State:
        held = Held(slot, 0, self.version, "queued")
        state = self.decide(slot, Run(self.number, 0, "queued"), held)
        if self.bounds.overlap == "cancel":
            runs = tuple(
                run._replace(wish=CANCEL) if run.is_open and place < slot else run
                for place, run in enumerate(state.runs)
            )
            state = state._replace(runs=runs)
        return state

    def commits_of(self, held: Held) -> Steps:
        """Settle a run, write that it begins, or answer a wish."""
        run = self.state.runs[held.slot]
        is_ours = run.owner == self.number and run.token == held.token
        if held.place == "ended":
            yield from self.settle(held, run)
        elif held.place in {"queued", "waiting"}:
            yield from self.record_start(held, run)
        elif run.wish == REVOKE and is_ours:
            yield from self.answer_wish(held, run)

    def settle(self, held: Held, run: Run) -> Steps:
        is_taken = run.is_open or "outcome" in self.left_out
        is_taken &= run.token == held.token or "result" in self.left_out
        forgotten = self.without(held)
        if not is_taken or run.state in {"undecided", "paused", "skipped"}:
            yield "refused", self.commit(forgotten)
            return
        if run.token != held.token:
            raise Violation("I4: a result is taken with an older token")
        if not self.node.has_row:
            raise Violation("I4: a result is taken from a node without a row")
        if not run.is_open:
            raise Violation("I4: a result is taken twice")
        done = self.with_run(held.slot, Run(FREE, run.token, "done"))
        yield "settle", self.commit(forgotten, done)
        yield "settle unheard", self.commit(self.node, done)

    def record_start(self, held: Held, run: Run) -> Steps:
        is_gone = not run.is_open or (run.token != held.token and "start" not in self.left_out)
        if is_gone:
            yield "gone", self.commit(self.without(held))
            return
        before = any(each.is_open for each in self.state.runs[: held.slot])
        if held.place == "queued" and before and "order" not in self.left_out:
            return
        if self.state.changed == 2 and self.bounds.change == "pause":
            raise Violation("I1: a run begins as it was before an acknowledged change")
        ready = Held(held.slot, held.token, self.version, "ready")
        begun = run._replace(state="claimed", has_begun=1, wish=run.wish & CANCEL)
        yield "write begin", self.commit(self.node, self.with_run(held.slot, begun), ready)

    def answer_wish(self, held: Held, run: Run) -> Steps:
        slot = held.slot
        if held.place == "held" or (held.place == "ahead" and "hold" in self.left_out):
            node = self.node if "hold" in self.left_out else self.without(held)
            if self.state.decided == slot + 1:
                given = self.with_run(slot, Run(FREE, run.token + 1, "undecided"))
                yield "revoke", self.commit(node, given._replace(decided=slot))
            else:
                free = Run(FREE, run.token + 1, "waiting")
                yield "release", self.commit(node, self.with_run(slot, free))
        elif held.place in {"running", "ended"}:
            begun = run._replace(wish=0, has_begun=1)
            yield "say begun", self.commit(self.node, self.with_run(slot, begun))

    # Other nodes

    def bury(self) -> Steps:
        for number, other in enumerate(self.state.nodes):
            if number == self.number or not (other.has_row and self.state.stops >= other.is_up):
                continue
            runs = tuple(
                run._replace(owner=DEAD) if run.owner == number else run for run in self.state.runs
            )
            state = self.commit(self.node)
            nodes = list(state.nodes)
            nodes[number] = other._replace(has_row=0, trusts=int("watch" in self.left_out))
            stops = state.stops - other.is_up
            yield "bury", state._replace(runs=runs, nodes=tuple(nodes), stops=stops)

    def take_over(self) -> Steps:
        for slot, run in enumerate(self.state.runs):
            if not run.is_open or run.owner >= 0:
                continue
            if "takeover" in self.left_out and run.owner == DEAD:
                continue
            token, is_paused = run.token + 1, self.state.changed and self.bounds.change == "pause"
            if run.wish == CANCEL and "wish" not in self.left_out:
                done = self.with_run(slot, Run(FREE, token, "done"))
                yield "close", self.commit(self.node, done)
            elif is_paused:
                if run.owner == DEAD:
                    state = "queued" if run.state == "queued" else "waiting"
                    free = self.with_run(slot, Run(FREE, token, state))
                    yield "keep free", self.commit(self.node, free)
            else:
                yield self.adopt(slot, run, token)

    def adopt(self, slot: int, run: Run, token: int) -> tuple[str, State]:
        """Take a run over: the same attempt, or the next one if it may have begun."""
        place = run.state
        if run.state == "claimed":
            may_have_begun = run.has_begun or slot < self.state.come
            place = "ready" if may_have_begun else "ahead"
        held = Held(slot, token, self.version, place)
        taken = Run(self.number, token, run.state, 0, int(place == "ready"))
        return "take over", self.commit(self.node, self.with_run(slot, taken), held)

    def change(self) -> Steps:
        """Change the job, or ask the owners of runs that have not begun."""
        state = self.state
        if state.changed or not self.bounds.change:
            return
        asked = [
            slot
            for slot, run in enumerate(state.runs)
            if run.state == "claimed"
            and run.owner not in {self.number, DEAD}
            and not run.has_begun
            and ("ahead" not in self.left_out or slot >= state.come)
        ]
        new = [slot for slot in asked if not state.runs[slot].wish]
        if new:
            yield "ask", self.commit(self.node, self.with_wishes(new, REVOKE))
            if "poll" in self.left_out:
                yield "ask unheard", self.commit(self.node, self.with_wishes(new, UNHEARD))
        elif not asked:
            yield "change", self.changed()

    def changed(self) -> State:
        """Write the change; what this node has not begun goes back, or waits while paused."""
        runs, decided = list(self.state.runs), self.state.decided
        kept = list(self.node.held)
        for held in self.node.held:
            run = runs[held.slot]
            if held.place not in {"ahead", "held"} or run.token != held.token:
                continue
            kept.remove(held)
            if decided == held.slot + 1:
                runs[held.slot] = Run(FREE, run.token + 1, "undecided")
                decided = held.slot
            elif self.bounds.change == "pause":
                runs[held.slot] = Run(FREE, run.token + 1, "waiting")
            else:
                kept.append(held._replace(version=1))
        if self.bounds.change == "pause":
            for slot, run in enumerate(runs):
                if run.state in {"queued", "waiting"}:
                    runs[slot] = Run(FREE, run.token + 1, run.state)
        node = self.node
        if "freeze" not in self.left_out:
            node = node._replace(held=_sorted(tuple(kept)))
        written = self.state._replace(runs=tuple(runs), decided=decided, changed=1)
        return self.commit(node, written, _CHANGE)

    def ask_to_cancel(self) -> Steps:
        if not self.bounds.cancels or self.state.cancelled != (-1, -1):
            return
        for slot, run in enumerate(self.state.runs):
            if not run.is_open or run.owner == self.number:
                continue
            if run.state != "claimed" or run.owner == FREE:
                wished = self.with_run(slot, Run(FREE, run.token, "done"))
            else:
                wished = self.with_wishes([slot], CANCEL)
            wished = wished._replace(cancelled=(slot, run.token))
            yield "ask to cancel", self.commit(self.node, wished)

    # States

    @property
    def version(self) -> int:
        """The version of the job's definition in the database."""
        return min(self.state.changed, 1)

    def put(self, node: Node, **changes: int) -> State:
        nodes = list(self.state.nodes)
        nodes[self.number] = node
        return self.state._replace(nodes=tuple(nodes), **changes)  # type: ignore[arg-type]

    def commit(self, node: Node, written: State | None = None, *answer: Held) -> State:
        """Return the state after a commit of this node."""
        nodes = list((written or self.state).nodes)
        nodes[self.number] = node._replace(answer=answer)
        return (written or self.state)._replace(nodes=tuple(nodes))

    def decide(self, slot: int, run: Run, *answer: Held) -> State:
        state = self.with_run(slot, run)._replace(decided=max(self.state.decided, slot + 1))
        return self.commit(self.node, state, *answer)

    def with_run(self, slot: int, run: Run) -> State:
        runs = self.state.runs
        return self.state._replace(runs=(*runs[:slot], run, *runs[slot + 1 :]))

    def with_wishes(self, slots: list[int], wish: int) -> State:
        runs = list(self.state.runs)
        for slot in slots:
            runs[slot] = runs[slot]._replace(wish=wish)
        return self.state._replace(runs=tuple(runs))

    def moved(self, held: Held, place: str) -> Node:
        others = tuple(each for each in self.node.held if each != held)
        return self.node._replace(held=_sorted((*others, held._replace(place=place))))

    def without(self, held: Held) -> Node:
        return self.node._replace(held=tuple(each for each in self.node.held if each != held))


def _sorted(held: tuple[Held, ...]) -> tuple[Held, ...]:
    return tuple(sorted(held))
