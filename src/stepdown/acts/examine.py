"""Who asks a bundle many prompts at once, for an evaluation or a comparison: with a witness, like any other call."""

from stepdown.providers.batches import Examiner, call_of
from stepdown.training.evaluation import Terms
from stepdown.workspace import Workspace


def examiner(workspace: Workspace, bundle: str, bound: Terms, knowledge: int) -> Examiner:
    """Return who asks for an evaluation of its own.

    Args:
        workspace: Whose trace it is.
        bundle: Who is asked.
        bound: The terms of the evaluation.
        knowledge: Version of the knowledge in the prompts.
    """
    return _examiner(workspace, bundle, call_of(bundle, bound.digest, knowledge, None))


def comparing(workspace: Workspace, bundle: str, run: str) -> Examiner:
    """Return who asks for a comparison, block after block."""
    return _examiner(workspace, bundle, call_of(bundle, "", 0, run))


def trying(workspace: Workspace, name: str) -> Examiner:
    """Return who asks a bundle or a base for a trial: whether it answers at all, or what it answers as it came."""
    return _examiner(workspace, name, f"trial/{name}")


def _examiner(workspace: Workspace, bundle: str, call: str) -> Examiner:
    settings = workspace.settings
    return Examiner(call, bundle, workspace.trace, settings.clock, settings.durability == "full")
