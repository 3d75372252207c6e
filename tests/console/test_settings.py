"""Where settings come from, and what is said when they are wrong."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from console.errors import SettingsError
from console.settings import load_settings

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(autouse=True)
def _empty_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in list(os.environ):
        if name.startswith("NEARLINE_"):
            monkeypatch.delenv(name)


def test_without_anything_the_defaults_hold() -> None:
    settings = load_settings()
    assert settings.stream.kafka.brokers == "127.0.0.1:9092"
    assert settings.stream.gate.checkpoint_s == 1.0


def test_a_file_in_the_current_folder_is_read(tmp_path: Path) -> None:
    (tmp_path / "nearline.yaml").write_text("stream: {gate: {checkpoint_s: 2.5}}\n")
    assert load_settings().stream.gate.checkpoint_s == 2.5


def test_the_environment_wins_over_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("stream: {kafka: {brokers: 'file:1', partitions: 7}}\n")
    monkeypatch.setenv("NEARLINE_CONFIG", str(file))
    monkeypatch.setenv("NEARLINE_STREAM__KAFKA__BROKERS", "environment:2")
    kafka = load_settings().stream.kafka
    assert kafka.brokers == "environment:2"
    assert kafka.partitions == 7


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("stream: {gate: {checkpoint_s: soon}}\n", ("stream.gate.checkpoint_s", "number", "found 'soon'")),
        ("stream: {gate: {chekpoint_s: 1}}\n", ("stream.gate.chekpoint_s", "did you mean checkpoint_s?")),
        ("nonsense: 1\n", ("nonsense",)),
        ("stream: {kafka: {event_topics: [{topic: views, type: glance}]}}\n", ("glance", "expected one of")),
        ("stream: [unclosed\n", ("line 2", "cannot be read")),
        ("- a\n- b\n", ("mine.yaml", "holds a list")),
        ("just words\n", ("mine.yaml",)),
    ],
)
def test_a_wrong_file_is_named_with_its_field(
    text: str, words: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(text)
    monkeypatch.setenv("NEARLINE_CONFIG", str(file))
    with pytest.raises(SettingsError) as caught:
        load_settings()
    for word in words:
        assert word in str(caught.value)


def test_a_file_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NEARLINE_CONFIG", "/nowhere/nearline.yaml")
    with pytest.raises(SettingsError, match=r"/nowhere/nearline\.yaml"):
        load_settings()


def test_a_variable_of_no_room_is_refused_and_those_of_a_kubernetes_service_are_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("NEARLINE_SERVICE_HOST", "10.0.0.1")
    monkeypatch.setenv("NEARLINE_PORT", "tcp://10.0.0.1:6066")
    load_settings()
    monkeypatch.setenv("NEARLINE_STREM__REDIS__URL", "redis://127.0.0.1:6379/0")
    with pytest.raises(SettingsError, match="NEARLINE_STREM__REDIS__URL"):
        load_settings()


def test_what_may_be_secret_is_not_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NEARLINE_STREAM__REDIS__URL", "http://ann:hunter2@cache/0")
    monkeypatch.setenv("NEARLINE_STREAM__KAFKA__PASSWORD", "hunter2")
    with pytest.raises(SettingsError) as caught:
        load_settings()
    assert "hunter2" not in str(caught.value)
    assert "stream.kafka.password" in str(caught.value)
