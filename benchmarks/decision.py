"""A pure decision from its facts: at most 10 µs.

``python benchmarks/decision.py``
"""

import timeit
from dataclasses import replace
from statistics import median

from stepdown.routing.breaker import State
from stepdown.routing.decide import decide
from stepdown.routing.facts import Facts
from stepdown.routing.policy import Mode

FIT = Facts(
    role="competitor",
    mode=Mode.AUTO,
    local_roles=("competitor",),
    frontier_allowed=True,
    bundle="b" * 64,
    present=True,
    enabled=True,
    whole=True,
    compatible=True,
    age=10.0,
    max_age=100.0,
    evaluated=True,
    score=0.8,
    min_score=0.75,
    valid=0.95,
    min_valid=0.9,
    coverage=1.0,
    min_coverage=0.95,
    breaker=State.CLOSED,
    probing=False,
    shadow=False,
    canary=1.0,
    draw=0.5,
)
UNFIT = replace(FIT, mode=Mode.FRONTIER_ONLY, role="coach", enabled=False, whole=False, age=1e9, coverage=0.1)
LIMIT, TIMES = 10.0, 20_000


def main() -> None:
    for name, facts in (("local serves", FIT), ("many objections", UNFIT)):
        found = timeit.repeat(lambda facts=facts: decide(facts), number=TIMES, repeat=15)
        micros = [seconds / TIMES * 1e6 for seconds in found]
        print(f"{name:16} {median(micros):5.2f} µs   {min(micros):.2f} to {max(micros):.2f}   limit {LIMIT:.0f}")


if __name__ == "__main__":
    main()
