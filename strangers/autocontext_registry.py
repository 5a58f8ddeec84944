"""autocontext: its registry of distilled models, its role router, its MLX provider, and its deterministic client as frontier.

A request is one role's turn, as its orchestrator resolves it; its rows are in its own store, and the log is what its hooks see.
"""

from __future__ import annotations

import logging
import shutil
import tempfile
from dataclasses import replace
from functools import cache
from pathlib import Path

import mlx.core as mx
from autocontext.agents import AgentOrchestrator
from autocontext.config.settings import AppSettings
from autocontext.extensions import HookBus, HookEvent, HookEvents
from autocontext.storage import SQLiteStore
from autocontext.training.autoresearch import model, prepare
from autocontext.training.model_registry import DistilledModelRecord, ModelRegistry

from stepdown_machine import operations as op
from stepdown_machine.least import TARGET, Asked, Least, Tried
from stepdown_machine.observed import Holding, Observation
from stepdown_machine.protocol import START, Answer
from stepdown_machine.values import Bundle, Refusal

REQUIREMENTS = ("autocontext[mlx]==0.18.0", "mlx[cpu]==0.32.4")
SHOWS = {"broken": "autocontext-no-way-back", "rivals": "autocontext-two-active"}
GIVEN_UP = (
    "reasons, weights, time, turns that failed, thresholds, a cooldown, a rollback, a removal: no row or call of it has them",
    "whole generations, as these need more weights; switching beside activating, which is one; refusing what is gone",
)
NAMES, SCENARIO = (TARGET, "model-2", "model-3"), "grid_ctf"


@cache
def template() -> Path:
    """Let it make its tables, and a model of a few thousand weights."""
    logging.disable(logging.CRITICAL), mx.random.seed(1)
    room = Path(tempfile.mkdtemp(prefix="autocontext-template-"))
    SQLiteStore(room / "rows.sqlite3").ensure_core_tables()
    (room / "corpus").write_text("a few words")
    tokenizer = prepare.train_tokenizer(room / "corpus", 256)
    shape = model.ModelConfig(1, 16, 8, 2, tokenizer.vocab_size, 64)
    model.save_inference_bundle(model.GPTModel(shape), shape, tokenizer, room / "bundle")
    return room


class Roles(Least):
    """Three models of a scenario are registered, and the first is active."""

    knows, failures, outages, states = frozenset(), (), (), frozenset(("holdings",))
    does, given = frozenset((op.Activate,)), tuple(Bundle(name, "", START, 1.0, 1.0) for name in NAMES)

    def __init__(self) -> None:
        self.calls, rows = list[Tried](), shutil.copy(template() / "rows.sqlite3", self.room)
        rooms = {"knowledge_root": self.room, "db_path": rows, "mlx_temperature": 0, "mlx_max_tokens": 8}
        self.settings = AppSettings(agent_provider="deterministic", role_routing="auto", **rooms)
        self.registry, self.store = ModelRegistry(self.room), SQLiteStore(self.settings.db_path)
        for name in NAMES:
            folder = str(shutil.copytree(template() / "bundle", self.room / name))
            more = {"checkpoint_path": folder, "training_metrics": {}, "provenance": {}, "runtime_types": ["provider"]}
            whose = {"artifact_id": name, "scenario": SCENARIO, "scenario_family": "game", "backend": "mlx"}
            self.registry.register(DistilledModelRecord(activation_state="candidate", **whose, **more))
        self.registry.activate(TARGET)
        (hooks := HookBus(fail_fast=True)).on(HookEvents.AFTER_PROVIDER_RESPONSE, self.note)
        self.agents = AgentOrchestrator.from_settings(self.settings, sqlite=self.store, hook_bus=hooks)

    def note(self, event: HookEvent) -> None:
        """Be a hook: note what came back, and from whom."""
        target = "local" if event.payload["provider"].startswith("mlx") else "frontier"
        self.calls.append(Tried(f"call-{len(self.calls)}", target, None, event.payload["text"]))

    def ask(self, role: str, text: str) -> None:
        """Let a role have a turn; its loop keeps no call of a generation that fails."""
        try:
            client, whose = self.agents.resolve_role_execution(role, generation=1, scenario_name=SCENARIO)
            reply = client.generate(model=whose, prompt=text, max_tokens=64, temperature=0.0, role=role)
        except Exception:
            return
        self.store.create_run(run := f"run-{len(self.history())}", SCENARIO, 1, "local")
        self.store.upsert_generation(run, 1, 0, 0, 0, 0, 0, "advance", "completed")
        row = (role, reply.usage.model, 0, 0, reply.usage.latency_ms, "", "completed")
        self.store.append_generation_agent_activity(run, 1, [(role, reply.text)], [row])

    def history(self) -> list[Asked]:
        """Read the rows; the model of a local turn is a folder."""
        query = "SELECT model, content FROM agent_role_metrics JOIN agent_outputs USING (run_id) ORDER BY agent_outputs.rowid"
        with self.store.connection() as connection:
            rows = [(str(self.room) in path, text) for path, text in connection.execute(query)]
        tried = [Tried(f"call-{n}", "local" if here else "frontier", None, text) for n, (here, text) in enumerate(rows)]
        return [Asked((each,), each.target, each.text) for each in tried]

    def log(self) -> list[Tried]:
        """Return what the hook noted."""
        return self.calls

    def perform(self, operation: op.Operation) -> Answer:
        """Do what is about models."""
        match operation:
            case op.Activate(bundle=name):
                return self.registry.activate(name) if name in NAMES else Refusal("unknown-bundle")
            case op.Rival(first=op.Activate(bundle=one), second=op.Activate(bundle=two)):
                late, early = (one, two) if self.registry.load(one).activation_state == "active" else (two, one)
                slow = ModelRegistry(self.room)
                slow.list_all = lambda: (self.registry.list_all(), self.registry.activate(early))[0]
                return slow.activate(late), None
            case op.Rival(first=first, second=second):
                return self.perform(first), self.perform(second)
            case op.Damage(bundle=name, how=how):
                shutil.rmtree(self.room / name) if how != "delete" else (self.room / name / "config.json").unlink()
            case op.Restore(bundle=name):
                shutil.copytree(template() / "bundle", self.room / name, dirs_exist_ok=True)
            case _:
                return super().perform(operation)
        return None

    def observe(self, *, thorough: bool = False) -> Observation:
        """Add which models are listed as active."""
        active = [each.artifact_id for each in self.registry.list_all() if each.activation_state == "active"]
        holdings = tuple(Holding("registry", "competitor", name) for name in active)
        return replace(super().observe(thorough=thorough), holdings=holdings)


class One(Roles):
    """One of them is switched off and on, and its folder goes away and comes back."""

    knows, states, given = frozenset(("bundle-disabled", "bundle-absent")), frozenset(), Roles.given[:1]
    does, damages = frozenset((op.Damage, op.Restore)), ("delete-directory",)

    def switch(self, *, on: bool) -> None:
        """Make it active, or not."""
        (self.registry.activate if on else self.registry.deactivate)(TARGET)


class Broken(One):
    """Its configuration goes away."""

    knows, damages = frozenset(("bundle-disabled", "bundle-integrity")), ("delete",)


class Rivals(Roles):
    """Two activations at once: who of the two is active already lists first and writes last, as chance may have it."""

    does = frozenset((op.Activate, op.Rival))


CAMPAIGNS = {"roles": Roles, "one": One, "broken": Broken, "rivals": Rivals}
