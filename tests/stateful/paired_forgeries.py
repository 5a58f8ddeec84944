"""More lies: what is written down twice, altered in both places at once, so that only deriving it again finds it."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from typing import Any

from stateful.environment import Environment, SmallGrid
from stateful.forgeries import EVALUATED, WHERE, WORDED, Copy, Lie, altered, one_value
from stateful.removals import new_bundle
from stepdown.scenarios import roles
from stepdown.training.evaluation import judge_held_out, summarize


def both_values(column: str, kind: str, copy: Copy) -> bool:
    """Alter what a step and its announcements both say."""
    where = f"role = 'competitor' AND {WHERE['step']} AND {WORDED if column == 'prompt' else 'TRUE'}"
    query = f'SELECT id, "{column}" FROM step WHERE {where} ORDER BY seq DESC'
    for step, value in copy.rows(query):
        other = altered(value, kind, column)
        if other not in (value, None):
            _put_both(copy, step, column, other)
            return True
    return False


def _put_both(copy: Copy, step: str, column: str, value: Any) -> None:
    copy.database.execute(f'UPDATE step SET "{column}" = ? WHERE id = ?', (value, step))
    copy.database.execute(f'UPDATE announcement SET "{column}" = ? WHERE step = ?', (value, step))


def another_limit(copy: Copy) -> bool:
    """Alter a value of a policy that steps were decided by."""
    used = "number IN (SELECT policy FROM step WHERE run IN ({runs}))"
    for seq, text in copy.rows(f"SELECT seq, settings FROM policy WHERE {used} ORDER BY seq DESC LIMIT 1"):
        settings = json.loads(text)
        copy.put("policy", seq, "settings", json.dumps({**settings, "min_score": 1.0 - settings["min_score"]}))
        return True
    return False


BOTH = ("generation", "position", "seed", "knowledge", "policy", "validators", "prompt", "objections")

FACTS: dict[str, Callable[[Any], Any]] = {
    **dict.fromkeys(
        ("min_score", "min_valid", "min_coverage", "canary", "draw", "coverage"), lambda found: found + 0.001
    ),
    **dict.fromkeys(("score", "valid"), lambda found: found + 0.001 if isinstance(found, float) else None),
    **dict.fromkeys(
        ("frontier_allowed", "shadow", "present", "enabled", "whole", "compatible"), lambda found: not found
    ),
    "mode": lambda found: "local-only" if found == "auto" else "auto",
    "max_age": lambda found: 1e9 if isinstance(found, str) else found + 1,
    "role": lambda found: found + "x",
    "local_roles": lambda found: [*found, "x"],
    "age": lambda _found: None,
    "breaker": lambda found: "open" if found != "open" else "closed",
}
"""What the policy, the seed, the harness and the evaluation say, or what changes a decision about a bundle that is there."""


FACTS_WHILE_WHOLE: dict[str, Callable[[Any], Any]] = {
    **dict.fromkeys(("evaluated", "probing", "over_budget", "unavailable"), lambda found: not found),
    # Nothing is said of a base that can be used.
    "based": lambda found: found is False,
    **dict.fromkeys(("lessons", "max_lessons"), lambda found: (found if isinstance(found, int | float) else 0) + 1),
    **dict.fromkeys(("bundle", "prompts"), lambda found: (found or "") + "x"),
}
"""Likewise while nobody was killed, no file is damaged or gone, and everything is of this version."""


def one_fact(name: str, kind: str, copy: Copy) -> bool:
    """Alter one of the facts that a step was decided by, wherever they are written."""
    fit = (
        "json_extract(facts, '$.whole') AND json_extract(facts, '$.compatible') AND json_extract(facts, '$.evaluated')"
    )
    # A bundle that is too old is no older for an age that nobody knows.
    fit += " AND objections NOT LIKE '%bundle-stale%'" if name == "age" else ""
    for step, text in copy.rows(f"SELECT id, facts FROM step WHERE {WHERE['step']} AND {fit} ORDER BY seq DESC"):
        facts = json.loads(text)
        other = {**FACTS, **FACTS_WHILE_WHOLE}[name](facts.get(name))
        if kind == "less" and isinstance(other, float) and isinstance(facts.get(name), float):
            other = 2 * facts[name] - other
        if other != facts.get(name):
            _put_both(copy, step, "facts", json.dumps({**facts, name: other}))
            return True
    return False


ANOTHER = '{"aggression":0.1,"defense":0.1,"path_bias":0.1}'


def another_reply(reply: str, copy: Copy) -> bool:
    """Let history and trace both say that something else was answered."""
    query = f"SELECT seq, call, text FROM attempt WHERE {WHERE['attempt']} AND NOT recovered AND text IS NOT NULL"
    for seq, call, text in copy.rows(f"{query} AND call IN (SELECT served_call FROM step WHERE role = 'competitor')"):
        said = reply or text + "x"
        copy.put("attempt", seq, "text", said)
        copy.database.execute("UPDATE step SET reply = ? WHERE served_call = ?", (said, call))
        copy.line(call, "end")["stepdown.output.text"] = said
        return True
    return False


def other_weights(copy: Copy) -> bool:
    """Let history and trace both name weights that no bundle has."""
    for seq, call in copy.rows(
        "SELECT seq, call FROM attempt WHERE bundle IS NOT NULL AND text IS NOT NULL ORDER BY seq DESC"
    ):
        copy.put("attempt", seq, "digest", "0" * 64)
        copy.line(call, "end")["stepdown.weights.digest"] = "0" * 64
        return True
    return False


def other_failure(target: str, copy: Copy) -> bool:
    """Let history and trace both name another failure."""
    failed = "error_type IN ('error', 'timeout', 'load-failed') AND NOT recovered AND NOT shadow AND target = :target"
    for seq, call, word in copy.rows(f"SELECT seq, call, error_type FROM attempt WHERE {failed}", target=target):
        other = "timeout" if word != "timeout" else "load-failed"
        copy.put("attempt", seq, "error_type", other)
        copy.line(call, "end")["error.type"] = other
        return True
    return False


RECOVERED = (
    ("step", "more", "requested outcome error"),
    ("step", "gone", "reason served served_call reply strategy score"),
    ("attempt", "more", "shadow refusals recovered"),
    ("attempt", "gone", "provider model digest text score cost"),
)
"""What can be altered of a step that recovery closed."""

GONE = "gone"
EVIDENCE: tuple[tuple[str, Any], ...] = (
    ("challenger", "evaluation-1"),
    ("challenger", None),
    ("challenger", GONE),
    ("champion", "evaluation-1"),
    ("champion", None),
    ("champion", GONE),
    ("champion", "itself"),
    ("trial.budget", 15),
    ("trial.look", 7),
    ("trial.error_rate", 0.1),
    ("seeds", 1),
    ("unanswered", 1),
    ("to_frontier.lower", 0.0),
    ("to_champion.upper", 0.0),
    ("valid", 0.5),
    ("min_valid", 0.5),
    ("coverage", 0.5),
    ("min_coverage", 0.5),
    ("objections", ["coverage-weak"]),
)
"""What a verdict's evidence may not say instead. The margin was promised by a person, and nothing else remembers it."""


def other_evidence(path: str, value: Any, copy: Copy) -> bool:
    """Let a neighbour's verdict, which had a champion, rest on something else."""
    rivals = "SELECT seq, evidence FROM verdict WHERE json_extract(evidence, '$.champion') IS NOT NULL ORDER BY seq"
    for seq, text in copy.rows(rivals):
        evidence = json.loads(text)
        *way, key = path.split(".")
        place = evidence
        for step in way:
            place = place[step]
        place[key] = evidence["challenger"] if value == "itself" else value
        if value == GONE:
            del place[key]
        copy.put("verdict", seq, "evidence", json.dumps(evidence))
        return True
    return False


CHAMPIONS = ("lower run", "higher run", "lower role", "higher role")


def other_champion(which: str, copy: Copy) -> bool:
    """Let the evaluation that a verdict names as its champion's be a part of another run, or of another slot."""
    rivals = (
        "SELECT verdict.run, evaluation.id, scenario, role, bundle.at FROM verdict "
        "JOIN evaluation ON evaluation.id = json_extract(evidence, '$.champion') "
        "JOIN bundle ON bundle.id = evaluation.bundle ORDER BY verdict.seq"
    )
    for run, champion, scenario, role, at in copy.rows(rivals):
        if which.endswith("run"):
            order = "id < :run ORDER BY id" if which == "lower run" else "id > :run ORDER BY id DESC"
            others = copy.rows(f"SELECT id FROM run WHERE {order} LIMIT 1", run=run)
        else:
            others = [(new_bundle(copy, scenario, "a" if which == "lower role" else role + "x", at),)]
        column = "run" if which.endswith("run") else "bundle"
        for (other,) in others:
            copy.database.execute(f"UPDATE evaluation SET {column} = ? WHERE id = ?", (other, champion))
            return True
    return False


def easier_seed(copy: Copy) -> bool:
    """Let an evaluation rest on a seed that its terms do not say, and be the sum of just that."""
    grid = SmallGrid(Environment())
    for evaluation, seeds in copy.rows(f"SELECT id, terms FROM evaluation WHERE id IN ({EVALUATED}) ORDER BY seq DESC"):
        other = 1 + max(json.loads(seeds)["seeds"])
        query = "SELECT seq, reply, score, legal FROM holdout WHERE evaluation = :id ORDER BY seq"
        found = copy.rows(query, id=evaluation)
        seq, reply, *_ = found[-1]
        played = judge_held_out(grid, roles.role_named(grid, roles.COMPETITOR), other, reply)
        copy.put("holdout", seq, "seed", other)
        copy.put("holdout", seq, "score", played.score)
        scores = [*(row[2] for row in found[:-1]), played.score]
        summary = summarize(scores, [bool(row[3]) for row in found])
        copy.database.execute(
            "UPDATE evaluation SET mean = ?, lower = ? WHERE id = ?", (summary.mean, summary.lower, evaluation)
        )
        return True
    return False


def unforced(copy: Copy) -> bool:
    """Let a bundle that no verdict promoted, only held, have come into its slot without anybody's force."""
    only_held = """bundle IN (SELECT bundle FROM verdict WHERE outcome = 'hold')
        AND bundle NOT IN (SELECT bundle FROM verdict WHERE outcome = 'promote')"""
    for (seq,) in copy.rows(
        f"SELECT seq FROM act WHERE kind = 'activate' AND forced AND {only_held} ORDER BY seq DESC"
    ):
        copy.put("act", seq, "forced", 0)
        return True
    return False


def conspiracies() -> dict[str, Lie]:
    """Return by name the lies that are told in more than one place."""
    return {
        **{f"both.{column} {kind}": partial(both_values, column, kind) for column in BOTH for kind in ("more", "less")},
        **{f"fact {name} {kind}": partial(one_fact, name, kind) for name in FACTS for kind in ("more", "less")},
        **{
            f"recovered {table}.{column} {kind}": partial(
                one_value, table, column, kind, where=f"{WHERE[table]} AND recovered"
            )
            for table, kind, columns in RECOVERED
            for column in columns.split()
        },
        **{f"evidence {path} {value}": partial(other_evidence, path, value) for path, value in EVIDENCE},
        "both witnesses: an illegal reply": partial(another_reply, ""),
        "both witnesses: another reply": partial(another_reply, ANOTHER),
        "both witnesses: other weights": other_weights,
        "both witnesses: another local failure": partial(other_failure, "local"),
        "both witnesses: another frontier failure": partial(other_failure, "frontier"),
        "another limit": another_limit,
        **{f"champion of another slot or run: {which}": partial(other_champion, which) for which in CHAMPIONS},
        "easier seed": easier_seed,
        "unforced after a hold": unforced,
        "smaller budget": partial(
            one_value, "run", "candidates", "less", where="id IN ({runs}) AND purpose = 'comparison'"
        ),
    }
