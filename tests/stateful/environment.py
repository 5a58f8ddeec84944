"""What surrounds a workspace under the machine: a clock that is moved, a scenario that is revised, providers that fail.

Everything real stays real: the embedded frontier proposes, a trained bundle is loaded from its bytes and decodes. Environment
stands between the trace and the provider, where the world is.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zlib import crc32

from stateful import papers, wired
from stateful.asking import wrong
from stateful.jurors import JUDGING, JURY, WORD, Jurors
from stepdown.bundles.manifest import Manifest
from stepdown.clock import Clock
from stepdown.errors import LocalError, ProviderError, Unavailable
from stepdown.history import engine as engines
from stepdown.providers import prices
from stepdown.providers.protocol import Completion, LocalProvider, Provider, Request
from stepdown.providers.search import Search
from stepdown.scenarios import cases
from stepdown.scenarios.grid_ctf import GridCtf
from stepdown.scenarios.invoice_cases import case
from stepdown.scenarios.invoices import Invoices
from stepdown.scenarios.prompt import COACH, COMPETITOR, FIRST
from stepdown.scenarios.protocol import Scenario
from stepdown.scenarios.referee import own_case
from stepdown.training.decoding import Decoding
from stepdown.workspace import Settings
from stepdown_machine.orders import ASKED_AGAIN
from stepdown_machine.protocol import MISSING, START, UNPRICED
from stepdown_machine.values import Price

if TYPE_CHECKING:
    from stepdown.local.provider import LocalReply, Model

SCENARIO = os.environ.get("STEPDOWN_MACHINE_SCENARIO", GridCtf.name)
"""What is played in this process and in those that it starts."""
ON_GRID = GridCtf.name == SCENARIO
ASKED = "asked"
"""The point within a call: its trace has begun, and has not ended."""
IN_FILES = papers.NAME == SCENARIO
ILLEGAL = {
    GridCtf.name: '{"aggression":1.0,"defense":1.0,"path_bias":0.5}',
    Invoices.name: wired.ILLEGAL,
    papers.NAME: papers.ILLEGAL,
}[SCENARIO]
"""What the last validator alone objects to."""
GARBAGE = "I would push hard on the left flank."


@dataclass(slots=True)
class Environment:
    """What the machine moves, and what comes to light in it. It is sent to child processes as it is.

    Attributes:
        now: Epoch seconds.
        version: Of the scenario.
        text: Word of `Reword`.
        decoding: Word of `Redecode`.
        local: Word of `Disturb`.
        frontier: Word of `Disturb`.
        turn: How often a bundle changed before it was loaded.
        alone: Whether no other process runs.
        training: The plan that a task's files ask for, as JSON; empty where they ask for none.
        jurors: Mood of those who judge a neighbour's answers, of `jurors.MOODS`.
        wrong: What was wrong with questions: a provider that raised it would only be one that failed.
    """

    now: float = START
    version: int = 1
    text: str = "own"
    decoding: str = "own"
    local: str = "calm"
    frontier: str = "calm"
    turn: int = 0
    alone: bool = True
    training: str = ""
    jurors: str = "calm"
    wrong: list[str] = field(default_factory=list)

    def clock(self) -> Clock:
        """Return a clock that stands still until it is moved."""
        return Clock(now=lambda: datetime.fromtimestamp(self.now, UTC), monotonic=lambda: self.now)

    def impatient(self) -> Clock:
        """Return a clock whose every look is ten minutes later: no time limit survives it."""
        looks = iter(range(1, 1_000_000))
        return replace(self.clock(), monotonic=lambda: self.now + 600.0 * next(looks))


TEXTS = ("own", "other")
"""What a competitor can be asked with."""


def worded(scenario: type[Scenario], environment: Environment) -> Mapping[str, str]:
    """Return a scenario's texts in this environment: another one ends with another word."""
    own: Mapping[str, str] = getattr(scenario, "prompts", {})
    question = own.get(COMPETITOR, FIRST[COMPETITOR])
    return own if environment.text == TEXTS[0] else {**own, COMPETITOR: other(question)}


def other(text: str) -> str:
    """Return a competitor's text as it is put otherwise."""
    return text.replace("strategy:", "answer:")


class SmallGrid(GridCtf):
    """grid_ctf with few seeds, and with the version and the text that the environment says."""

    def __init__(self, environment: Environment) -> None:
        self._environment = environment

    @property
    def version(self) -> int:  # type: ignore[override]
        return self._environment.version

    @property
    def prompts(self) -> Mapping[str, str]:  # type: ignore[override]
        return worded(GridCtf, self._environment)

    def tournament_seeds(self) -> Sequence[int]:
        return super().tournament_seeds()[:2]

    def holdout_seeds(self) -> Sequence[int]:
        return super().holdout_seeds()[:8]

    def comparison_seeds(self) -> Sequence[int]:
        return super().comparison_seeds()[:16]


class JudgedGrid(SmallGrid):
    """The same game, of which only a model says how good a move is."""

    name, judging, own_case = JURY, JUDGING, True

    def labelled(self, _seed: int) -> bool:
        """Tell that nobody else knows."""
        return False


class SmallInvoices(Invoices):
    """invoices with few sentences, and with the version and the text that the environment says."""

    def __init__(self, environment: Environment) -> None:
        self._environment = environment

    @property
    def version(self) -> int:  # type: ignore[override]
        return self._environment.version

    @property
    def prompts(self) -> Mapping[str, str]:  # type: ignore[override]
        return worded(Invoices, self._environment)

    def holdout_seeds(self) -> Sequence[int]:
        return super().holdout_seeds()[:4]

    def comparison_seeds(self) -> Sequence[int]:
        return super().comparison_seeds()[:16]


class SmallPapers:
    """papers with few cases, as its files are in this environment."""

    name = papers.NAME

    def __init__(self, environment: Environment) -> None:
        self._environment = environment

    def __getattr__(self, name: str) -> Any:
        environment = self._environment
        question = worded(Invoices, environment)[COMPETITOR]
        return getattr(papers.read(environment.version, question, environment.training), name)

    def ask_for(self, training: str) -> None:
        """Let the files ask for a plan, as JSON."""
        self._environment.training = training

    def holdout_seeds(self) -> Sequence[int]:
        return self.__getattr__("holdout_seeds")()[:4]

    def comparison_seeds(self) -> Sequence[int]:
        return self.__getattr__("comparison_seeds")()[:16]


Small: Callable[[Environment], Scenario] = {
    GridCtf.name: SmallGrid,
    Invoices.name: SmallInvoices,
    papers.NAME: SmallPapers,
}[SCENARIO]


FIRST_VERSION = Small(Environment()).version


def version_said(number: int) -> int:
    """Say a version of the scenario as the machine does, which counts; 0 for one that it never heard of."""
    return papers.labels().get(number, 0) if IN_FILES else number


LENGTHS = {"own": 64, "longer": 96} if ON_GRID else {"own": 200, "longer": 240}
"""Tokens that are decoded at most, by the word for it: answers are shorter."""
LONG = 17 if ON_GRID else 149
"""Words of a question, with its instructions where it is hosted, beyond which the second price does not hold."""
PRICES = (Price(datetime(2026, 11, 1, tzinfo=UTC).timestamp(), 3.0, 15.0), Price(START + 20, 2.0, 20.0, LONG))
"""Of the machine's frontier: the second one is news that its clock soon comes to."""
SELLERS = ("recorded",) if ON_GRID else wired.sellers()
SOLD = SELLERS[0], wired.SNAPSHOT
for seller in SELLERS:
    prices.table()[seller, wired.SNAPSHOT] = [
        prices.Price(datetime.fromtimestamp(each.since, UTC), each.input, each.output, each.most) for each in PRICES
    ]
    # What the model costs of which that one is a snapshot.
    prices.table()[seller, wired.MODEL] = [prices.Price(datetime(2026, 11, 1, tzinfo=UTC), 700.0, 900.0)]


def examined(scenario: Scenario) -> tuple[int, ...]:
    """Return cases that are kept for examinations, where a scenario has cases of its own."""
    return (scenario.holdout_seeds()[0], scenario.comparison_seeds()[0]) if own_case(scenario) else ()


STRANGE = {"text": f"{case(1).text} Thank you."}
"""A case that no scenario has: where invoices are read, it is one all the same."""


def strange(scenario: Scenario) -> tuple[int, ...]:
    """Return what stands for that case, where a scenario has cases of its own."""
    return (cases.seed_of(scenario, STRANGE)[0],) if own_case(scenario) else ()


class Hosted:
    """A hosted frontier, in this environment: whatever it says or does not say comes over the wire."""

    model = wired.MODEL

    def __init__(self, environment: Environment, scenario: Scenario, asked: Callable[[Request], None]) -> None:
        self._environment, self._asked, self._hosted = environment, asked, wired.Hosted(scenario)

    @property
    def name(self) -> str:
        return SELLERS[self._turn % 2]

    @property
    def _turn(self) -> int:
        return self._environment.turn

    def complete(self, request: Request) -> Completion:
        self._asked(request)
        self._environment.turn += self._environment.frontier in ("error", UNPRICED)
        language = wired.LANGUAGES[self._turn % 2]
        return self._hosted.complete(request, language, self._environment.frontier, self._turn)


def spelled(request: Request, reply: str) -> str:
    """Spell one candidate in three otherwise: it is the same answer. Of two lessons in three one half is always the same."""
    third = crc32(request.call.encode()) % 3
    if request.role == COACH and third:
        half = ("playbook", "hints")[third - 1]
        return json.dumps({**json.loads(reply), half: FIRST_LESSON[half]})
    return reply if request.role == COACH or third else json.dumps(json.loads(reply), indent=1)


FIRST_LESSON = {"playbook": "Nothing is known yet.", "hints": "Explore."}
"""What is known before anybody taught anything."""


class Embedded:
    """The embedded frontier, in this environment, at a price that changes once."""

    name, model = SOLD[0], wired.MODEL

    def __init__(self, environment: Environment, scenario: Scenario, asked: Callable[[Request], None]) -> None:
        self._environment, self._asked = environment, asked
        self._search = Search(scenario)

    def complete(self, request: Request) -> Completion:
        self._asked(request)
        match self._environment.frontier:
            case "error":
                return self._broken()
            case "timeout":
                raise ProviderError("The frontier was late, as it was told to be.", error_type="timeout")
            case "illegal" if request.role != "coach":
                return self._charged(request, ILLEGAL)
        answered = self._charged(request, spelled(request, self._search.complete(request).reply))
        return replace(answered, model=wired.UNHEARD) if self._environment.frontier == UNPRICED else answered

    def _broken(self) -> Completion:
        """Fail: in stepdown's own words, in somebody else's, or with an answer that is none."""
        self._environment.turn += 1
        match self._environment.turn % 3:
            case 0:
                raise ProviderError("The frontier failed, as it was told to.", error_type="error")
            case 1:
                raise RuntimeError("The frontier failed, as it was told to.")
        return Completion(None, *SOLD)  # type: ignore[arg-type]

    def _charged(self, request: Request, text: str) -> Completion:
        """Count a token for each word and each character, as nobody does: what matters is that calls differ in price."""
        return Completion(
            text,
            *SOLD,
            input_tokens=len(request.prompt.split()),
            output_tokens=len(text),
            cached_tokens=len(text) // 2,
            request_id=request.call,
            notes=("as asked",),
        )


def local(
    environment: Environment,
    asked: Callable[[Request], None],
    directory: Path,
    manifest: Manifest,
    decoding: Decoding,
    base: Path | None = None,
) -> LocalProvider:
    """Return a bundle's provider, in this environment."""
    from stepdown.local.provider import BundleProvider

    class Heavy(BundleProvider):
        """One that takes its time to load, and none for anything else."""

        def load(self) -> Model:
            loaded = super().load()
            self._clock = replace(self._clock, monotonic=lambda: environment.now + 600.0)
            return loaded

    class Bundle(BundleProvider):
        """The real one: its weights are loaded from their bytes; equal questions to equal weights are decoded once."""

        def complete(self, request: Request) -> Completion:
            asked(request)
            match environment.local:
                case "load-failed":
                    environment.turn += 1
                    with changed(directory, manifest, environment.turn) as place:
                        said = BundleProvider(place, manifest, decoding, environment.clock(), base).complete(request)
                    environment.wrong.append(f"{request.call} is answered by a bundle that is another one by now")
                    return said
                case "error":
                    self.load()
                    raise LocalError("Local failed, as it was told to.")
                case "timeout":
                    environment.turn += 1
                    if environment.turn % 2:
                        return Heavy(directory, manifest, decoding, environment.clock(), base).complete(request)
                    late = BundleProvider(directory, manifest, decoding, environment.impatient(), base)
                    return late.complete(request)
                case "garbage" | "illegal" as how:
                    said = super().complete(request)
                    return replace(said, reply=GARBAGE if how == "garbage" else ILLEGAL)
            return super().complete(request)

        def _generate(
            self,
            loaded: Model,
            prompts: Sequence[str],
            seeds: Sequence[int],
            expired: Callable[[], bool],
            schema: Mapping[str, Any] | None,
        ) -> list[LocalReply]:
            key = (loaded.weights_digest, tuple(prompts))
            if key not in DECODED:
                DECODED[key] = super()._generate(loaded, prompts, seeds, expired, schema)
            return DECODED[key]

    return Bundle(directory, manifest, decoding, environment.clock(), base)


@contextmanager
def changed(directory: Path, manifest: Manifest, turn: int) -> Iterator[Path]:
    """Yield where one file of a bundle is another by now: it was whole when routing looked, and will be at the next look.

    Turn about, the file can be read for what it should be and only its digest tells; it is one byte longer; or it is a link
    to the very same bytes.
    """
    with tempfile.TemporaryDirectory() as room:
        place = Path(room) / "bundle"
        shutil.copytree(directory, place)
        files = sorted(manifest.files)
        file = place / files[turn // 3 % len(files)]
        data = file.read_bytes()
        match turn % 3:
            case 0:
                file.write_bytes(_other(data, file.suffix == ".json", lower=(turn // 3 + turn // 12) % 2 == 0))
            case 1:
                file.write_bytes(data + b"\n")
            case _:
                file.rename(Path(room) / "aside")
                file.symlink_to(Path(room) / "aside")
        yield place


def _other(data: bytes, text: bool, *, lower: bool) -> bytes:
    """Return as many bytes with another end and, if there are such, a lower or a higher digest."""
    ends = b"\t \r\n" if text else range(8)
    others = [data[:-1] + bytes([end]) for end in ends if end != data[-1]]
    return next((other for other in others if (sha256(other).digest() < sha256(data).digest()) is lower), others[0])


DECODED: dict[tuple[str, tuple[str, ...]], list[LocalReply]] = {}
"""Greedy decoding is a function of weights and prompts; the digest is of the bytes that were really loaded."""


def settings(
    environment: Environment, root: Path, cache_directory: Path, reached: Callable[[str], None] = lambda _point: None
) -> Settings:
    """Compose the workspace at a root in this environment, and who is told of the points that it reaches."""
    scenario = Small(environment)

    def asked(request: Request) -> None:
        try:
            environment.wrong += wrong(root, request, alone=environment.alone)
        except Exception as error:
            environment.wrong.append(f"{request.call} cannot be held against any rows: {error!r}")
        reached(ASKED if request.call.endswith("/1") else ASKED_AGAIN)

    def frontier(word: str, _scenario: object) -> Provider:
        if word == WORD:
            return Jurors(lambda: environment.jurors)
        if environment.frontier == MISSING:
            raise Unavailable("The frontier is not there, as it was told.")
        return (Embedded if ON_GRID else Hosted)(environment, scenario, asked)

    return Settings(
        clock=environment.clock(),
        scenario=_only(scenario),
        frontier=frontier,
        local=lambda directory, manifest, decoding, _clock, base: local(
            environment, asked, directory, manifest, decoding, base
        ),
        decoding=Decoding(max_tokens=LENGTHS[environment.decoding]),
        durability="normal",
        engine=_engine,
        reached=reached,
        cache=cache_directory,
    )


_engine = cache(engines.create)
"""One engine for each database, whoever opens it anew: what it has compiled stays compiled. It was left without connections."""

NEIGHBOURS = ("duel", "skirmish")
"""Scenarios that share the database with ours; disturbances are local, and theirs is always calm."""


def _only(scenario: Scenario) -> Callable[[str], Scenario]:
    from stepdown.scenarios.installed import scenario_named

    @cache
    def found(name: str) -> Scenario:
        if name == JURY:
            return JudgedGrid(Environment())
        if name in NEIGHBOURS:
            return type(name, (SmallGrid,), {"name": name})(Environment())
        return scenario if name == scenario.name else scenario_named(name)

    return found
