"""Which runtime answers where the settings leave it open."""

from pathlib import Path

import pytest

from agents import AgentSettings, settled
from agents.errors import ModelError
from agents.runtime import choice
from agents.runtime.choice import known_share, student_folder
from agents.settings import RuntimeKind, StudentSettings


@pytest.fixture
def packaged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    pytest.importorskip("torch")
    folder = tmp_path / "grocer"
    folder.mkdir()
    (folder / "student.json").write_text("{}")
    (folder / "phrases.tsv").write_text("rye bread\t0.1\noat drink\t0.2\n")
    monkeypatch.setattr(choice, "_PACKAGED", tmp_path)
    return folder


def test_the_packaged_student_is_taken_where_it_knows_half_of_the_titles(packaged: Path) -> None:
    known = settled(AgentSettings(), ["Rye Bread", "Oat Drink", "Dish Soap"])
    assert known.runtime is RuntimeKind.STUDENT
    assert (known.prompt, known.queries) == ("u2q-student-1", 20)
    assert student_folder(known.student, ("Rye Bread",)) == packaged


def test_another_shop_gets_the_in_process_model_and_what_was_said_stays(packaged: Path) -> None:
    other = settled(AgentSettings(queries=3), ["Red Mug", "Blue Mug", "Oat Drink"])
    assert other.runtime is RuntimeKind.LOCAL
    assert other.queries == 3
    with pytest.raises(ModelError, match="grocer"):
        student_folder(StudentSettings(), ("Red Mug",))


def test_a_named_student_is_taken_and_a_named_runtime_is_left(packaged: Path) -> None:
    named = AgentSettings(student=StudentSettings(model="mine"))
    assert settled(named, ["Red Mug"]).runtime is RuntimeKind.STUDENT
    local = AgentSettings(runtime=RuntimeKind.LOCAL)
    assert settled(local, ["Rye Bread"]) is local


def test_a_catalogue_without_titles_is_known_by_nobody(packaged: Path) -> None:
    assert known_share(packaged, []) == 0.0
    assert settled(AgentSettings(), []).runtime is RuntimeKind.LOCAL
