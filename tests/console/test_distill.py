"""``nearline distill`` and ``nearline eval demand``, from a log to figures, with a real small student."""

import json
import random
from pathlib import Path
from typing import TYPE_CHECKING, cast

import numpy as np
import pytest
from typer.testing import CliRunner

pytest.importorskip("torch")

from agents.settings import AgentSettings
from console.errors import ConsoleError
from console.main import app
from console.verbs.evaluation.demand_fused import Fusion
from console.verbs.evaluation.purchases import moment_of, read_purchases
from index.evaluate.demand import Answers
from index.evaluate.slate import split

if TYPE_CHECKING:
    from index.channels.channel import QueryChannel

pytestmark = pytest.mark.real

_DAY = 86_400_000
_START = 15_000 * _DAY
_KINDS = {
    "garden": ["spade", "rake", "hose", "gloves", "pots", "seeds", "gnome", "bench", "shears", "trowel"],
    "kitchen": ["scales", "whisk", "jars", "apron", "timer", "bowls", "tins", "knife", "ladle", "grater"],
}


_SMALL = [f"--set={one}" for one in (
    "vocabulary=700", "hidden=64", "layers=1", "feed_forward=64", "warm_steps=150", "warm_batch=64", "steps=150",
    "batch=32", "answers=3", "threads=1",
)]  # fmt: skip


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A hundred and twenty shoppers of two kinds over forty days; two garden items are first sold after day 30."""
    folder = tmp_path_factory.mktemp("shop")
    rng = random.Random(5)
    items = [
        (f"{kind}-{thing}", f"{kind} {thing}", kind) for kind, things in _KINDS.items() for thing in things
    ]
    items += [("garden-swing", "garden swing", "garden"), ("kitchen-clock", "kitchen clock", "kitchen")]
    catalog = folder / "items.jsonl"
    catalog.write_text(
        "".join(
            json.dumps({"item_id": one, "title": title, "category": kind}) + "\n"
            for one, title, kind in items
        )
    )
    events = folder / "orders.jsonl"
    with events.open("w") as out:
        number = 0
        for user in range(120):
            kind = sorted(_KINDS)[user % 2]
            left = rng.sample(_KINDS[kind], 8)
            for day in (3, 9, 15, 22, 33):
                bought = [f"{kind}-{left.pop()}"] + ([f"{kind}-{left.pop()}"] if day < 15 else [])
                if day == 33 and user % 3 == 0:
                    bought.append("garden-swing" if kind == "garden" else "kitchen-clock")
                for item in bought:
                    number += 1
                    ts = _START + day * _DAY + user * 60_000
                    event = {
                        "event_id": str(number),
                        "user_id": f"u{user}",
                        "type": "order",
                        "ts": ts,
                        "item_id": item,
                    }
                    out.write(json.dumps(event) + "\n")
    return events, catalog


def _run(*arguments: object) -> str:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert result.exit_code == 0, result.output or repr(result.exception)
    return result.stdout


@pytest.fixture(scope="module")
def student(shop: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A student of the shop as it was on day 30."""
    events, catalog = shop
    folder = tmp_path_factory.mktemp("taught")
    log = ("--events", events, "--catalog", catalog, "--cutoff", "2011-02-25", "--json")
    made = json.loads(_run("distill", "prepare", *log, "--out", folder / "pairs"))
    assert made["phrases"] == 20
    assert made["pairs"] >= 400
    facts = json.loads(
        _run("distill", "train", folder / "pairs", "--out", folder / "student", *_SMALL, "--json")
    )
    assert facts["pairs"]["cutoff"] == "2011-02-25"
    return folder / "student"


def test_a_shop_trains_its_own_student_and_measures_it(
    shop: tuple[Path, Path], student: Path, tmp_path: Path
) -> None:
    events, catalog = shop
    log = ("--events", events, "--catalog", catalog, "--cutoff", "2011-02-25", "--json")
    before = (*log[:5], "2011-02-12", "--json")
    _run("distill", "prepare", *before, "--out", tmp_path / "pairs-before")
    _run("distill", "train", tmp_path / "pairs-before", "--out", tmp_path / "before", *_SMALL, "--json")
    forms = [part for form in ("newest", "raw", "compressed") for part in ("--history", form)]
    report = json.loads(
        _run(
            "eval", "demand", *log, "--student", student, "--earlier", tmp_path / "before", *forms,
            "--queries", "5", "--form", "10",
        )
    )  # fmt: skip
    assert report["writer"]["rungs"] == {"llm": 120}
    assert report["writer"]["not_in_catalogue"] == 0.0
    novel, new = report["NOVEL"]["channels"], report["NEW"]["channels"]
    # So small a shop is in every slate as a whole; what is personal is the order.
    assert novel["U2Q"]["NDCG@20"]["mean"] > 1.1 * novel["U2Q swapped"]["NDCG@20"]["mean"]
    assert new["EASE^R"]["Recall@50"]["mean"] == 0.0
    assert new["U2Q"]["Recall@50"]["mean"] > 0.0
    assert set(report) >= {"LISTED", "THIN 1", "THIN 3", "THIN 5"}
    # Every demand is a title, and what the judge takes away are whole demands.
    faults = report["FAULTS"]["faults"]
    assert faults["before"]["not_in_catalogue"] == 0.0
    assert faults["before"]["demands"] == 5.0
    assert 0 < faults["after"]["demands"] <= 5.0

    begun = json.loads(
        _run(
            "eval", "intents", *log, "--student", student, "--shoppers", "40", "--set", "search_share=1",
            "--set", "noise=0",
        )
    )  # fmt: skip
    assert begun["offered"] == 20
    assert 20 < begun["shoppers"] <= begun["simulated"] == 40
    assert begun["kinds"]["searched"]["shoppers"] == begun["shoppers"]
    # A search is answered by the first of its words' items; who only saw what was bought has to guess.
    assert begun["channels"]["U2Q"]["share@20"]["mean"] > 0.0
    assert begun["channels"]["U2Q"]["answered@50"]["mean"] == 1.0
    assert set(begun["channels"]) >= {
        "U2Q, inferred alone",
        "EASE^R, this visit",
        "item-kNN, weighed",
        "popularity",
    }


def test_a_student_is_measured_and_given_away_with_its_figures(
    shop: tuple[Path, Path], student: Path, tmp_path: Path
) -> None:
    events, catalog = shop
    log = ("--events", events, "--catalog", catalog)
    found = json.loads(_run("distill", "evaluate", student, *log, "--queries", "5", "--form", "30", "--json"))
    assert found["cutoff"] == "2011-02-25"
    assert found["shoppers"] == 120
    assert found["valid_unconstrained"] >= 0.99
    held = found["held_out"]
    # Half of the catalogue is no shopper's kind: to know which half is worth log 2 at the least.
    assert held["nats_a_title"] < held["by_what_everybody_wants"] - 0.5
    assert held["nats_a_title"] < held["swapped"]
    assert json.loads((student / "evaluation.json").read_text()) == found

    notice = tmp_path / "licence.txt"
    notice.write_text("The log is ours.", encoding="utf-8")
    out = tmp_path / "given" / "student"
    made = json.loads(_run("distill", "export", student, "--out", out, "--notice", notice, "--json"))
    assert set(made["files"]) == {file.name for file in out.iterdir()} >= {
        "config.json", "generation_config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json",
        "chat_template.jinja", "README.md", "NOTICE.txt", "evaluation.json",
    }  # fmt: skip
    assert (out / "NOTICE.txt").read_text() == "The log is ours.\n"
    card = (out / "README.md").read_text()
    assert f"{found['alone']['U2Q']['Recall@50']['mean']:.3f}" in card
    assert "orders.jsonl" in card
    result = CliRunner().invoke(app, ["distill", "export", str(student), "--out", str(out)])
    assert "there is something at" in str(result.exception)


def test_a_student_that_saw_what_came_next_is_no_earlier_one(shop: tuple[Path, Path], tmp_path: Path) -> None:
    events, catalog = shop
    (tmp_path / "student.json").write_text('{"pairs": {"cutoff": "2011-03-01"}}')
    bought = read_purchases(events, catalog)
    cut = split(bought.log, moment_of("2011-02-25"))
    fusion = Fusion(
        bought, cut, np.zeros((len(bought.titles), 2), np.float32), Answers(cast("QueryChannel", None)), AgentSettings(),
        queries=5, seed=0, tell=lambda _: None,
    )  # fmt: skip
    with pytest.raises(ConsoleError, match="has seen purchases up to the cutoff or later"):
        fusion.learn_from([tmp_path])
    (tmp_path / "student.json").write_text("{}")
    with pytest.raises(ConsoleError, match="does not say up to when"):
        fusion.learn_from([tmp_path])


def test_a_setting_that_does_not_exist_is_told_with_those_that_do(tmp_path: Path) -> None:
    result = CliRunner().invoke(
        app, ["distill", "train", str(tmp_path), "--out", str(tmp_path), "--set", "speed=9"]
    )
    assert "speed" in str(result.exception)
    assert "layers" in str(result.exception)


def test_each_size_has_settings_of_its_own(tmp_path: Path) -> None:
    arguments = [
        "distill",
        "train",
        str(tmp_path),
        "--out",
        str(tmp_path),
        "--size",
        "gemma",
        "--set",
        "hidden=64",
    ]
    result = CliRunner().invoke(app, arguments)
    assert "--set hidden" in str(result.exception)
    assert "Settings of gemma are" in str(result.exception)
    assert "rank" in str(result.exception)


def test_a_folder_that_is_no_student_is_not_measured(shop: tuple[Path, Path], tmp_path: Path) -> None:
    events, catalog = shop
    arguments = ["distill", "evaluate", str(tmp_path), "--events", str(events), "--catalog", str(catalog)]
    result = CliRunner().invoke(app, arguments)
    assert "does not say up to when" in str(result.exception)
