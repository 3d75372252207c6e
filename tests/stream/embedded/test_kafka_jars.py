from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from stream.embedded.errors import PartMissingError
from stream.embedded.kafka_jars import java_binary, java_major, kafka_jars

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("printed", "major"),
    [
        ('openjdk version "17.0.15" 2025-04-15', 17),
        ('java version "1.8.0_402"', 8),
        ('openjdk version "21" 2023-09-19', 21),
        ("nothing of the kind", None),
    ],
)
def test_javas_release_is_read_from_what_it_prints(printed: str, major: int | None) -> None:
    assert java_major(printed) == major


def _java(folder: Path, printed: str) -> None:
    java = folder / "java"
    java.write_text(f"#!/bin/sh\necho '{printed}' >&2\n")
    java.chmod(0o755)


def test_an_old_java_is_refused_with_the_way_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _java(tmp_path, 'openjdk version "11.0.2" 2019-01-15')
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin")
    with pytest.raises(PartMissingError, match="is version 11") as refused:
        java_binary()
    assert "Java 17" in refused.value.way_out


def test_a_missing_java_is_refused_with_the_way_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(PartMissingError, match="there is none") as refused:
        java_binary()
    assert "apt-get install" in refused.value.way_out


def test_jars_without_maven_are_refused_unless_they_are_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(PartMissingError, match="no mvn") as refused:
        kafka_jars(cache=tmp_path / "cache")
    assert "tansu" in refused.value.way_out
    (tmp_path / "cache" / "lib").mkdir()
    assert kafka_jars(cache=tmp_path / "cache") == tmp_path / "cache" / "lib"
