"""More lies: rows and lines that are lost, doubled or out of order, and acts that could not have been done."""

from __future__ import annotations

from functools import partial
from itertools import pairwise
from typing import Any

from stateful.forgeries import COMPLETED, KINDS, Copy, Lie, altered
from stepdown.providers.trace import KEYS

UNNEEDED = (
    "id NOT IN (SELECT best FROM generation WHERE best IS NOT NULL) AND id NOT IN (SELECT step FROM knowledge) "
    "AND id NOT IN (SELECT champion FROM generation WHERE champion IS NOT NULL)"
)
CALLS = {
    "candidate": f"step IN (SELECT id FROM step WHERE role = 'competitor' AND run IN ({COMPLETED}) AND {UNNEEDED})",
    "coach": f"step IN (SELECT id FROM step WHERE role = 'coach' AND run IN ({COMPLETED}) AND {UNNEEDED})",
    "first attempt": "NOT recovered AND call LIKE '%/1' AND step IN (SELECT step FROM attempt WHERE call LIKE '%/2' AND "
    "NOT shadow)",
    "second attempt": "NOT recovered AND call LIKE '%/2' AND NOT shadow",
    "shadow": "shadow AND NOT recovered",
}
"""Calls that are lost with everything that was said of them; the first two with their steps."""


def call_lost(which: str, copy: Copy) -> bool:
    """Lose a call in both witnesses, as if it had never been."""
    for step, call in copy.rows(f"SELECT step, call FROM attempt WHERE {CALLS[which]} ORDER BY seq DESC LIMIT 1"):
        whole = which in ("candidate", "coach")
        place, name = ("step", step) if whole else ("call", call)
        lost = {row[0] for row in copy.rows(f"SELECT call FROM attempt WHERE {place} = :name", name=name)}
        for table in ("announcement", "attempt"):
            copy.database.execute(f"DELETE FROM {table} WHERE {place} = ?", (name,))
        if whole:
            copy.database.execute("DELETE FROM step WHERE id = ?", (step,))
            copy.database.execute("DELETE FROM match WHERE step = ?", (step,))
        copy.lines[:] = [line for line in copy.lines if line["stepdown.call"] not in lost]
        return True
    return False


UNREPEATED = (
    "NOT EXISTS (SELECT 1 FROM knowledge AS other WHERE other.seq <> knowledge.seq AND other.playbook = knowledge.playbook "
    "AND other.hints = knowledge.hints)"
)
LOST = {
    "run": "id IN (SELECT run FROM step)",
    "announcement": "call IN (SELECT call FROM attempt)",
    "step": "TRUE",
    "attempt": "NOT recovered",
    "match": "TRUE",
    "generation": f"run IN ({COMPLETED})",
    "knowledge": f"step IN (SELECT id FROM step WHERE role = 'coach' AND run IN ({COMPLETED})) AND {UNREPEATED}",
    "bundle": "id IN (SELECT bundle FROM act)",
    "evaluation": "TRUE",
    "holdout": "TRUE",
    "act": "kind = 'disable' AND bundle IN (SELECT bundle FROM act AS later WHERE kind = 'enable' AND later.seq > act.seq)",
    "policy": "number = 1",
    "verdict": "TRUE",
}
"""Rows that are missed when they are lost."""


def row_lost(table: str, copy: Copy) -> bool:
    """Lose the newest of the rows that would be missed."""
    chosen = f'SELECT max(seq) FROM "{table}" WHERE {LOST[table]}'
    return copy.database.execute(f'DELETE FROM "{table}" WHERE seq = ({chosen})').rowcount > 0


DOUBLED = ("run", "announcement", "step", "attempt", "match", "generation", "knowledge", "bundle", "evaluation", "holdout",
           "policy", "harness", "act")  # fmt: skip


def row_doubled(table: str, copy: Copy, where: str = "TRUE", **other: str) -> bool:
    """Write the newest of some rows once more, at the end, with other values in some columns."""
    names = [row[1] for row in copy.rows(f'PRAGMA table_info("{table}")') if row[1] != "seq"]
    columns = ", ".join(f'"{name}"' for name in names)
    values = ", ".join(other.get(name, f'"{name}"') for name in names)
    last, newest = (f'(SELECT max(seq) FROM "{table}" WHERE {which})' for which in ("TRUE", where))
    added = f'INSERT INTO "{table}" (seq, {columns}) SELECT {last} + 1, {values} FROM "{table}" WHERE seq = {newest}'
    return copy.database.execute(added).rowcount > 0


IMPOSSIBLE: dict[str, tuple[tuple[str, str, bool], ...]] = {
    "activate the slot's": (("activate", "someone", True),),
    "enable the enabled": (("enable", "someone", False),),
    "disable the disabled": (("disable", "someone", False), ("disable", "someone", False)),
    "retire the retired": (("retire", "someone", False), ("retire", "someone", False)),
    "delete the deleted": (("delete", "someone", False), ("delete", "someone", False)),
    "retire the deleted": (("delete", "someone", False), ("retire", "someone", False)),
    "activate the retired": (("retire", "someone", False), ("activate", "someone", True)),
    "disable the retired": (("retire", "someone", False), ("disable", "someone", False)),
    "enable the retired": (("disable", "someone", False), ("retire", "someone", False), ("enable", "someone", False)),
    "force a switch": (("disable", "someone", True),),
    "switch by promotion": (("disable", "promotion", False),),
    "retire by prune": (("retire", "prune", False),),
    "switch by rollback": (("disable", "rollback", False),),
}
"""Acts on a neighbour's bundle, which is active and switched on: kind, by whom, forced. The last of each cannot have been."""


def acts_added(name: str, copy: Copy) -> bool:
    """Add acts that could not have followed."""
    ((scenario, role, bundle, at),) = copy.rows("SELECT scenario, role, bundle, at FROM act WHERE role = 'analyst'")
    for kind, by, forced in IMPOSSIBLE[name]:
        _add(copy, kind, scenario, role, bundle, forced, by, at)
    return True


def _add(copy: Copy, *act: object) -> None:
    columns = 'seq, kind, scenario, role, bundle, forced, "by", at, why'
    values = "(SELECT max(seq) + 1 FROM act), ?, ?, ?, ?, ?, ?, ?, ''"
    copy.database.execute(f"INSERT INTO act ({columns}) VALUES ({values})", act)


def went_wrong(by: str, copy: Copy) -> bool:
    """Activate what the slot never held, without a verdict: by nobody's force, or as a way back that leads nowhere."""
    ((scenario, role, at),) = copy.rows("SELECT scenario, role, at FROM act WHERE role = 'analyst'")
    _add(copy, "activate", scenario, role, new_bundle(copy, scenario, role, at), False, by, at)
    return True


def decision_added(copy: Copy) -> bool:
    """Let a completed run have decided on one generation more than it was of."""
    return row_doubled("generation", copy, f"run IN ({COMPLETED}) AND decision = 'retry'", number="number + 1")


def new_bundle(copy: Copy, scenario: str, role: str, at: str) -> str:
    """Register a bundle that nothing is known of, and return its id."""
    columns = "seq, id, scenario, role, job, dataset, weights, trained_at, session, at"
    values = "(SELECT max(seq) + 1 FROM bundle), 'new', ?, ?, '', '', '', ?, '', ?"
    copy.database.execute(f"INSERT INTO bundle ({columns}) VALUES ({values})", (scenario, role, at, at))
    return "new"


def promoted_by_prune(copy: Copy) -> bool:
    """Let prune, which only deletes, activate what a verdict promoted and somebody's force took away."""
    query = (
        "SELECT scenario, role, id, at FROM bundle WHERE id IN (SELECT bundle FROM verdict WHERE outcome = 'promote')"
    )
    for scenario, role, bundle, at in copy.rows(f"{query} ORDER BY seq LIMIT 1"):
        _add(copy, "activate", scenario, role, new_bundle(copy, scenario, role, at), True, "someone", at)
        _add(copy, "activate", scenario, role, bundle, False, "prune", at)
        return True
    return False


def force_denied(copy: Copy) -> bool:
    """Deny that an operator forced an activation, if possible one of a bundle that a verdict did not promote."""
    promoted = "SELECT bundle FROM verdict WHERE outcome = 'promote'"
    judged = "bundle IN (SELECT bundle FROM verdict)"
    query = f"SELECT seq FROM act WHERE forced AND bundle NOT IN ({promoted}) ORDER BY {judged} DESC, seq LIMIT 1"
    for (seq,) in copy.rows(query):
        copy.put("act", seq, "forced", 0)
        return True
    return False


# A call that took less time than history says is not known to be a lie.
STARTS = ("event", "call", "target", "role", "bundle", "requested_provider", "requested_model")
ENDS = (
    *STARTS,
    "provider",
    "model",
    "weights_digest",
    "error_type",
    "error",
    "reply",
    "input_tokens",
    "output_tokens",
    "duration",
)


def one_field(event: str, field: str, kind: str, copy: Copy) -> bool:
    """Alter one field of a line of the trace."""
    for line in reversed([line for line in copy.lines if line["event"] == event and _kept(copy, line)]):
        value = line.get(KEYS[field])
        other = altered(value, kind)
        if other == value:
            continue
        line[KEYS[field]] = other
        if other is None:
            del line[KEYS[field]]
        return True
    return False


def _kept(copy: Copy, line: dict[str, Any]) -> bool:
    """Tell whether history would miss the line: of a call that was killed, it does not know how far it came."""
    return bool(copy.rows("SELECT 1 FROM attempt WHERE call = :call AND NOT recovered", call=line["stepdown.call"]))


def line_moved(event: str, how: str, copy: Copy) -> bool:
    """Lose the last line of a kind, write it twice, or let it change places with the one before it in its run."""
    places = [place for place, line in enumerate(copy.lines) if line["event"] == event and _kept(copy, line)]
    if how == "lost":
        del copy.lines[places[-1]]
    elif how == "doubled":
        copy.lines.append(copy.lines[places[-1]])
    else:
        run = [line["stepdown.call"].split("/")[0] for line in copy.lines]
        pairs = [(one, two) for one, two in pairwise(places) if run[one] == run[two]]
        one, two = pairs[-1]
        copy.lines[one], copy.lines[two] = copy.lines[two], copy.lines[one]
    return True


def trace_gone(copy: Copy) -> bool:
    """Lose the whole trace."""
    copy.lines.clear()
    return True


def missing() -> dict[str, Lie]:
    """Return by name the lies about what is there and what is not."""
    fields = {"start": STARTS, "end": ENDS}
    return {
        **{f"{which} never was": partial(call_lost, which) for which in CALLS},
        **{f"{table} lost": partial(row_lost, table) for table in LOST},
        **{f"{table} doubled": partial(row_doubled, table) for table in DOUBLED},
        **{name: partial(acts_added, name) for name in IMPOSSIBLE},
        **{f"activation by {by}": partial(went_wrong, by) for by in ("someone", "rollback")},
        **{
            f"trace {event} {field} {kind}": partial(one_field, event, field, kind)
            for event, names in fields.items()
            for field in names
            for kind in (("more", "gone") if field == "duration" else KINDS)
        },
        **{
            f"trace {event} {how}": partial(line_moved, event, how)
            for event, how in (
                ("start", "lost"),
                ("start", "doubled"),
                ("start", "moved"),
                ("end", "lost"),
                ("end", "doubled"),
            )
        },
        "activate by prune": promoted_by_prune,
        "decision added": decision_added,
        "policy again": partial(row_doubled, "policy", number="number + 1"),
        "force denied": force_denied,
        "trace lost": trace_gone,
    }
