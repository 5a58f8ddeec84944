"""What an evaluation says of the prompts of now, where knowledge was learned since.

Knowledge is no term of an evaluation: a coach teaches after every generation, and a bundle whose evaluation lapsed each time
would never serve. So the gates go on counting it until the policy's `max_lessons` lie between, what a bundle answers in serving
is judged every time, and who reads how good a bundle was measured to be reads with it that the prompts are others by now.
"""

from sqlalchemy import Connection

from stepdown.history import reader, rows


def outdated(connection: Connection, bundle: rows.Bundle, evaluation: rows.Evaluation | None) -> str:
    """Return in a sentence that an evaluation's prompts had other knowledge than prompts have now; empty where they had not."""
    if evaluation is None:
        return ""
    newest = reader.newest_knowledge(connection, bundle.scenario)
    then = reader.knowledge(connection, bundle.scenario, evaluation.knowledge)
    if newest is None or (then is not None and (then.playbook, then.hints) == (newest.playbook, newest.hints)):
        return ""
    return (
        f"{evaluation.id} asked {bundle.id[:12]} with knowledge {evaluation.knowledge}, and prompts have knowledge "
        f"{newest.version} by now: `stepdown bundles evaluate {bundle.id[:12]}` measures it with that."
    )
