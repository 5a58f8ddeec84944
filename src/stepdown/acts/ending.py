"""Why a run ended otherwise than it began, in a sentence."""

from collections import Counter

from stepdown.history import reader, rows
from stepdown.providers.missing import Missing
from stepdown.providers.protocol import Provider
from stepdown.workspace import Workspace


def budget_spent(workspace: Workspace, run: rows.Run, generations: int) -> str:
    """Return the sentence for a run that may spend no more at its frontier.

    Args:
        workspace: The run's.
        run: The run.
        generations: How many it played.
    """
    with workspace.reading() as connection:
        tokens, cost = reader.spent(connection, run.id)
        _, policy = workspace.policy(connection)
    spent = f"{tokens} tokens and {'an unknown sum' if cost is None else f'{cost:.4f} dollars'}"
    return (
        f"The budget is spent after {generations} of {run.generations} generations: {spent}, and a run may spend "
        f"{policy.run_tokens:g} tokens and {policy.run_cost:g} dollars; `stepdown policy set run_tokens=…` allows more."
    )


def nothing_served(troubles: Counter[str], frontier: str, provider: Provider) -> str:
    """Return the sentence for a run in which nobody's answer could be used.

    Args:
        troubles: What was wrong, and how often.
        frontier: Word for the run's frontier.
        provider: What it named.
    """
    counted = ", ".join(f"{trouble} ×{times}" for trouble, times in troubles.most_common())
    # Why it cannot be had is a sentence of its own, which says what to do.
    advice = f". {provider.why}" if isinstance(provider, Missing) else f"; look at the frontier {frontier}."
    return f"Not one of {troubles.total()} answers could be used ({counted}){advice}"
