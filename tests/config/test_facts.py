"""config.toml and what is laid over it, key by key; and that nothing in it is there for show."""

import ast
import re
import tomllib
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import get_args

import pytest
from pydantic import BaseModel

import config
from config import ConfigurationError, Settings
from facts import Facts, Section
from tests.config.conftest import Write

ROOT = Path(__file__).parents[2]
DEFAULTS = tomllib.loads((ROOT / "config.toml").read_text(encoding="utf-8"))
PRODUCT = ("app.py", "cashdesk.py", "commands.py", "sandboxed.py", "terminals.py", "bot", "webapp", "services",
           "sandbox", "terminal", "runtime")
# Published in the plans and the limits of the contract; a change of these is a change of the product.
TIERS = {
    "free": ("0", 1, 1, False, False, 900), "premium": ("29.99", 1, 1, True, False, 0),
    "vip": ("99.99", 3, 3, True, True, 0), "enterprise": ("299.99", 20, 20, True, True, 0)}


def faults_of(environ: dict[str, str]) -> list[str]:
    with pytest.raises(ConfigurationError) as caught:
        config.load(environ)
    return caught.value.faults


@pytest.mark.parametrize("name", config.TIERS)
def test_tiers_are_as_published(name: str) -> None:
    tier = config.load({}).facts.tiers[name]  # type: ignore[index]
    price, accounts, devices, live, copy_trading, delay = TIERS[name]
    assert tier.usd_per_month == Decimal(price) and isinstance(tier.usd_per_month, Decimal)
    assert (tier.accounts, tier.devices, tier.live, tier.copy_trading) == (accounts, devices, live, copy_trading)
    assert tier.card_delay_seconds == delay


def test_an_overlay_changes_the_key_it_names_and_no_other(write: Write) -> None:
    base = config.load({}).facts.model_dump()
    mine = config.load({"CONFIG": write("mine.toml", "[tiers.free]\ncard_delay_seconds = 0\n")}).facts.model_dump()
    assert mine["tiers"]["free"].pop("card_delay_seconds") == 0
    assert base["tiers"]["free"].pop("card_delay_seconds") == 900
    assert mine == base


def test_an_overlay_adds_to_a_table(write: Write) -> None:
    facts = config.load({"CONFIG": write("mine.toml", '[paper.anchors]\nXAUUSD = "2000"\nEURUSD = "1.2"\n')}).facts
    assert facts.paper.anchors["XAUUSD"] == 2000 and facts.paper.anchors["EURUSD"] == Decimal("1.2")
    assert facts.paper.anchors["US30"] == 39120


def test_the_operators_file_lies_over_the_programs_overlay(write: Write) -> None:
    overlay = {"tiers": {"free": {"card_delay_seconds": 0}}, "orders": {"workers": 2}}
    assert config.load({}, overlay).facts.tiers["free"].card_delay_seconds == 0
    path = write("mine.toml", "[tiers.free]\ncard_delay_seconds = 60\n")
    facts = config.load({"CONFIG": path}, overlay).facts
    assert facts.tiers["free"].card_delay_seconds == 60 and facts.orders.workers == 2


@pytest.mark.parametrize(("text", "place"), [
    ("[tiers.gold]\naccounts = 1\n", "tiers.gold"), ("[tiers.free]\nacounts = 1\n", "tiers.free.acounts"),
    ("[mystery]\nx = 1\n", "mystery"), ("tiers = 3\n", "tiers"), ("[orders]\nworkers = nan\n", "orders.workers"),
    ('[accounts]\npaper_deposit = "NaN"\n', "accounts.paper_deposit"),
    ('[accounts]\npaper_currency = "usd"\n', "accounts.paper_currency"),
    ("[notifier]\nrate_per_second = inf\n", "notifier.rate_per_second"),
    ("[notifier]\nrate_per_second = nan\n", "notifier.rate_per_second"),
    ('[paper.anchors]\nXAUUSD = "-1"\n', "paper.anchors.XAUUSD")])
def test_impossible_facts_are_named_by_their_place(text: str, place: str, write: Write) -> None:
    assert any(fault.startswith(f"config {place}") for fault in faults_of({"CONFIG": write("bad.toml", text)}))


@pytest.mark.parametrize("text", ["[tiers", "a = 'canary", "\x00"])
def test_an_unreadable_overlay_is_one_fault_that_quotes_nothing(text: str, write: Write) -> None:
    (fault,) = faults_of({"CONFIG": write("bad.toml", text)})
    assert fault == "CONFIG: cannot be read (TOMLDecodeError)"


def test_a_missing_overlay_is_a_fault(tmp_path: Path) -> None:
    assert faults_of({"CONFIG": str(tmp_path / "none.toml")}) == ["CONFIG: cannot be read (FileNotFoundError)"]


def leaves(model: type[BaseModel], table: object, path: str = "") -> Iterator[tuple[str, bool]]:
    """Every field of the settings by its path, and whether config.toml gives it a value."""
    for name, field in model.model_fields.items():
        inner = field.annotation
        below = table.get(name) if isinstance(table, dict) else None
        if isinstance(inner, type) and issubclass(inner, Section):
            yield from leaves(inner, below, f"{path}{name}.")
        elif name == "tiers":
            for tier in config.TIERS:
                row = below.get(tier) if isinstance(below, dict) else None
                yield from leaves(get_args(inner)[1], row, f"tiers.{tier}.")
        else:
            yield f"{path}{name}", below is not None


def test_every_fact_has_its_default_in_the_file() -> None:
    assert [path for path, given in leaves(Facts, DEFAULTS) if not given] == []


def names_read() -> tuple[set[str], set[str]]:
    """Every attribute the product reads anywhere outside config.py, and every string it has."""
    attributes: set[str] = set()
    strings: set[str] = set()
    for place in PRODUCT:
        path = ROOT / place
        for file in [path] if path.is_file() else sorted(path.rglob("*.py")):
            for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load):
                    attributes.add(node.attr)
                elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                    strings.add(node.value)
    return attributes, strings


def test_every_setting_is_read() -> None:
    attributes, strings = names_read()
    facts = {path for path, _ in leaves(Facts, DEFAULTS)} | set(Settings.model_fields)
    unread = {path for path in facts if path.rsplit(".", 1)[-1] not in attributes}
    # Rate limits are asked for by the names of their buckets.
    unread -= {f"limits.{name}" for name in strings}
    assert unread == set()


def test_every_variable_of_the_code_is_one_of_the_settings() -> None:
    text = (ROOT / "config.py").read_text(encoding="utf-8")
    quoted = set(re.findall(r'"([A-Z][A-Z_]{3,})"', text))
    assert quoted == config.VARIABLES
