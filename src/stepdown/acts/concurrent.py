"""Steps that do not depend on each other, asked side by side. What one of them is stays in `step`."""

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait

from stepdown.acts.question import Assignment
from stepdown.acts.step import begin, take
from stepdown.errors import InvalidValue
from stepdown.history import rows
from stepdown.providers.protocol import Provider
from stepdown.workspace import Workspace


def take_all(workspace: Workspace, assignments: Iterable[Assignment], at_once: int) -> Iterator[rows.Step]:
    """Take steps that do not depend on each other, with up to so many of the frontier's calls under way at once.

    The rows are the same whatever `at_once` is, apart from their order and their times: facts are gathered one by one, and a
    step that asks local is taken whole, in this thread, before the next one's facts are looked at. Its outcome moves a
    breaker that the next decision depends on, and there is one local model.

    Yields:
        The steps, in the order of the assignments.

    Raises:
        WorkspaceError: As `take` does; what is under way then is waited for.
    """
    if at_once == 1:
        yield from (take(workspace, assignment) for assignment in assignments)
        return
    with ThreadPoolExecutor(at_once, thread_name_prefix="stepdown-step") as pool:
        waiting: deque[Future[rows.Step]] = deque()
        for assignment in assignments:
            under_way = [step for step in waiting if not step.done()]
            if len(under_way) == at_once:
                wait(under_way, return_when=FIRST_COMPLETED)
            begun = begin(workspace, assignment)
            waiting.append(_done(begun.finish()) if begun.asks_local else pool.submit(begun.finish))
            while waiting and waiting[0].done():
                yield waiting.popleft().result()
        yield from (step.result() for step in waiting)


def _done(step: rows.Step) -> Future[rows.Step]:
    finished: Future[rows.Step] = Future()
    finished.set_result(step)
    return finished


def calls_at_once(provider: Provider, wanted: int | None) -> int:
    """Return how many calls a provider is asked at once: what is wanted, up to what it says it takes.

    Raises:
        InvalidValue: Fewer than one is wanted.
    """
    if wanted is not None and wanted < 1:
        raise InvalidValue(f"A frontier is asked 1 or more calls at once, not {wanted}.")
    takes = max(1, getattr(provider, "concurrency", 1))
    return takes if wanted is None else min(wanted, takes)
