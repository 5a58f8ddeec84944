"""The shipped prices are those that a maintained library states, and no row of them ever changes."""

import json
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import genai_prices
import pytest

from stepdown.providers.prices import Price, cost, table
from stepdown.providers.protocol import Completion

ROOT = Path(__file__).parents[1]
SHIPPED = ROOT / "src" / "stepdown" / "providers" / "prices.json"
BROUGHT = datetime(2026, 11, 27, tzinfo=UTC)
LATER = BROUGHT + timedelta(days=1)


def hosted(provider: str, model: str, read: int = 1_000, written: int = 200) -> Completion:
    return Completion("{}", provider, model, None, read, written)


@pytest.mark.parametrize(
    ("model", "read", "written"),
    [("claude-sonnet-4-5-20250929", 3, 15), ("claude-sonnet-4-20250514", 3, 15), ("claude-opus-4-1", 15, 75)],
)
def test_a_dated_snapshot_costs_what_its_model_costs(model: str, read: float, written: float) -> None:
    assert cost(hosted("anthropic", model), LATER) == pytest.approx((1_000 * read + 200 * written) / 1e6)


def test_a_model_of_another_name_costs_nothing_that_is_known() -> None:
    assert cost(hosted("openai", "gpt-4o-2024-08-06"), LATER) is not None
    for model in ("gpt-4o-mine", "gpt-4o-20240806x", "gpt-4o-", "2024-08-06", ""):
        assert cost(hosted("openai", model), LATER) is None
    # The same model behind another server is another offer.
    assert cost(hosted("openai@127.0.0.1:8080", "gpt-4o"), LATER) is None


def test_a_very_model_in_the_table_comes_before_the_model_it_is_a_snapshot_of() -> None:
    prices = {("p", "m"): [Price(BROUGHT, 1.0, 1.0)], ("p", "m-2026-01-01"): [Price(BROUGHT, 5.0, 5.0)]}

    assert cost(hosted("p", "m-2026-01-01", 1_000_000, 0), LATER, prices) == 5
    assert cost(hosted("p", "m-2026-02-02", 1_000_000, 0), LATER, prices) == 1


def test_above_the_prompt_that_a_price_holds_for_it_is_unknown() -> None:
    (stepped,) = table()["anthropic", "claude-sonnet-4-5"]

    assert stepped.most == 200_000
    at_most, above = (hosted("anthropic", "claude-sonnet-4-5", read) for read in (200_000, 200_001))
    assert cost(at_most, LATER) == pytest.approx(200_000 * 3 / 1e6 + 200 * 15 / 1e6)
    assert cost(above, LATER) is None


def test_refreshing_the_table_adds_what_changed_and_touches_no_row(tmp_path: Path) -> None:
    before = json.loads(SHIPPED.read_text("utf-8"))
    code = (
        "import json, sys; from datetime import UTC, datetime; sys.path.insert(0, sys.argv[1]); import make;"
        "print(json.dumps(make.refreshed(json.load(sys.stdin), datetime(2027, 1, 1, tzinfo=UTC))))"
    )
    changed = [{**row, "input": 999.0} if row["model"] == "gpt-4o" else row for row in before["prices"]]
    done = subprocess.run(
        [sys.executable, "-c", code, str(ROOT / "fixtures" / "prices")],
        input=json.dumps({"prices": changed}),
        capture_output=True,
        text=True,
        check=True,
    )
    after = json.loads(done.stdout)

    assert after[: len(changed)] == changed
    million = genai_prices.Usage(input_tokens=1_000_000)
    said = genai_prices.calc_price(million, "gpt-4o", provider_id="openai")
    added = {(row["model"], row["since"]): row["input"] for row in after[len(changed) :]}
    assert added["gpt-4o", "2027-01-01T00:00:00+00:00"] == float(said.total_price)
