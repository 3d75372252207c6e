"""``nearline catalog`` and ``nearline index``, as a person types them."""

from __future__ import annotations

import gzip
import json
from typing import TYPE_CHECKING

import numpy as np
import pytest
from kafka import KafkaConsumer, TopicPartition
from typer.testing import CliRunner

from console.main import app
from console.moment import moment
from index import build_catalog
from index.encoders.encoder import unit_rows
from index.living import Versions
from nearline import NearlineError
from tests.index.conftest import WordEncoder

if TYPE_CHECKING:
    from pathlib import Path

run = CliRunner()


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NEARLINE_INDEX__CATALOG", str(tmp_path / "catalog"))
    return tmp_path / "catalog"


def lamps(path: Path, count: int) -> Path:
    path.write_text(
        "\n".join(json.dumps({"item_id": f"l{n}", "title": f"lamp number{n}"}) for n in range(count))
    )
    return path


def test_versions_are_listed_with_the_one_in_force(home: Path, tmp_path: Path) -> None:
    assert "No version" in run.invoke(app, ["catalog", "versions"]).output
    encoder = WordEncoder()
    build_catalog(lamps(tmp_path / "a.jsonl", 3), home, encoder)
    Versions(home).publish(lamps(tmp_path / "b.jsonl", 4), encoder, note="[bold]four", author="ann")
    listed = json.loads(run.invoke(app, ["catalog", "versions", "--json"]).stdout)
    assert [(one["number"], one["in_force"], one["manifest"]["items"]) for one in listed] == [
        (1, False, 3),
        (2, True, 4),
    ]
    assert "[bold]four" in run.invoke(app, ["catalog", "versions"]).output


def test_the_schema_of_changes_is_printed_as_json() -> None:
    printed = json.loads(run.invoke(app, ["catalog", "schema"]).stdout)
    assert printed["required"] == ["op", "item_id"]


def test_a_file_of_changes_that_is_not_there_is_an_error() -> None:
    result = run.invoke(app, ["catalog", "send", "nowhere.jsonl"])
    assert isinstance(result.exception, NearlineError)
    assert "nowhere.jsonl" in str(result.exception)


def test_an_index_is_tuned_on_arrays(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    np.save(tmp_path / "v.npy", unit_rows(rng.normal(size=(2000, 32))))
    np.save(tmp_path / "q.npy", unit_rows(rng.normal(size=(30, 32))))
    arguments = ["index", "tune", "--vectors", str(tmp_path / "v.npy"), "--queries", str(tmp_path / "q.npy")]
    result = run.invoke(app, [*arguments, "--only", "Flat", "--only", "SQ8", "--json"])
    report = json.loads(result.stdout)
    assert {one["factory"] for one in report["measured"]} == {"Flat", "SQ8"}
    assert report["picked"]["recall"] >= 0.95
    assert "Picked" in run.invoke(app, [*arguments, "--only", "Flat"]).output


@pytest.mark.parametrize(
    ("vectors", "said"),
    [
        (np.ones((50, 8), np.float32), "length is not 1"),
        (np.full((50, 8), np.nan, np.float32), "length is not 1"),
        (np.zeros((50, 8), np.float32), "length is not 1"),
        (np.ones(8, np.float32), "shape"),
        (np.eye(8, dtype=np.int64), "int64"),
    ],
)
def test_arrays_that_hold_no_unit_vectors_are_refused(tmp_path: Path, vectors: np.ndarray, said: str) -> None:
    np.save(tmp_path / "v.npy", vectors)
    result = run.invoke(
        app, ["index", "tune", "--vectors", str(tmp_path / "v.npy"), "--queries", str(tmp_path / "v.npy")]
    )
    assert isinstance(result.exception, NearlineError)
    assert said in str(result.exception)


def test_times_are_read_as_people_write_them() -> None:
    assert moment("2025-05-04T12:00", "--as-of") == 1_746_360_000_000
    assert moment("1h", "--as-of") == pytest.approx(moment("60m ago", "--as-of"), abs=1000)
    with pytest.raises(NearlineError, match=r"--as-of 'noon'"):
        moment("noon", "--as-of")


@pytest.mark.real
def test_changes_reach_the_topic_keyed_by_item(
    home: Path, tmp_path: Path, tansu: str, topic_prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NEARLINE_STREAM__KAFKA__BROKERS", tansu)
    monkeypatch.setenv("NEARLINE_STREAM__KAFKA__PREFIX", topic_prefix)
    monkeypatch.setenv("NEARLINE_STREAM__KAFKA__PARTITIONS", "1")
    with gzip.open(tmp_path / "changes.jsonl.gz", "wt") as out:
        out.write('{"op": "remove", "item_id": "a"}\n\n{"op": "price", "item_id": 7, "price": 1}\n')
    result = run.invoke(app, ["catalog", "send", str(tmp_path / "changes.jsonl.gz"), "--json"])
    assert json.loads(result.stdout) == {"sent": 2, "topic": f"{topic_prefix}catalog"}
    consumer = KafkaConsumer(bootstrap_servers=tansu, enable_auto_commit=False)
    part = TopicPartition(f"{topic_prefix}catalog", 0)
    consumer.assign([part])
    consumer.seek_to_beginning(part)
    keys: list[bytes] = []
    while len(keys) < 2:
        keys += [record.key for records in consumer.poll(timeout_ms=500).values() for record in records]
    consumer.close()
    assert keys == [b"a", b"7"]


@pytest.mark.real
@pytest.mark.slow
def test_a_file_is_published_and_gone_back_from_with_the_packaged_encoder(
    home: Path, tmp_path: Path, tansu: str, topic_prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NEARLINE_STREAM__KAFKA__BROKERS", tansu)
    monkeypatch.setenv("NEARLINE_STREAM__KAFKA__PREFIX", topic_prefix)
    first = run.invoke(
        app, ["catalog", "publish", str(lamps(tmp_path / "a.jsonl", 5)), "--note", "first", "--json"]
    )
    made = json.loads(first.stdout)
    assert (made["number"], made["manifest"]["items"]) == (1, 5)
    assert set(made["manifest"]["published"]["offsets"].values()) == {0}
    second = run.invoke(app, ["catalog", "publish", str(lamps(tmp_path / "b.jsonl", 9)), "--offline"])
    assert "Version 2 is in force" in second.output
    assert "Version 1 is in force" in run.invoke(app, ["catalog", "rollback", "1"]).output
    assert Versions(home).in_force() == 1
    assert isinstance(run.invoke(app, ["catalog", "rollback", "9"]).exception, NearlineError)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("no json", "malformed"),
        ('{"op": "paint", "item_id": "a"}', "expected upsert, price, stock or remove"),
        ('{"op": "upsert", "item_id": "a"}', "title"),
    ],
)
def test_a_line_that_is_no_change_is_named_before_anything_is_sent(
    tmp_path: Path, line: str, said: str
) -> None:
    file = tmp_path / "changes.jsonl"
    file.write_text('{"op": "remove", "item_id": "a"}\n\n' + line + "\n")
    error = run.invoke(app, ["catalog", "send", str(file)]).exception
    assert isinstance(error, NearlineError)
    assert f"{file}, line 3" in str(error)
    assert said in str(error)


@pytest.mark.parametrize(
    ("column", "said"),
    [("item_id", "names no column"), ("titel=name", "did you mean title?"), ("title=", "names no column")],
)
def test_a_column_that_is_no_field_of_an_item_is_named(tmp_path: Path, column: str, said: str) -> None:
    error = run.invoke(app, ["catalog", "build", str(tmp_path / "a.csv"), "--column", column]).exception
    assert isinstance(error, NearlineError)
    assert said in str(error)
