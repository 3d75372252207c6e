"""What all rooms share: the root of the errors, and files that are written whole."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from nearline import NearlineError, written_whole

if TYPE_CHECKING:
    from pathlib import Path


def test_an_error_says_what_happened_and_then_the_way_out() -> None:
    assert (
        str(NearlineError("The file is gone.", way_out="Fetch it again."))
        == "The file is gone. Fetch it again."
    )
    assert str(NearlineError("The file is gone.")) == "The file is gone."


def test_a_file_is_as_it_was_until_the_new_one_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "a.json"
    for text in ("old", "new"):
        with written_whole(path) as beside:
            beside.write_text(text)
            assert not path.exists() or path.read_text() == "old"
        assert path.read_text() == text
    assert list(path.parent.iterdir()) == [path]


def test_a_file_that_fails_halfway_leaves_the_old_one_and_nothing_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text("old")

    def fail() -> None:
        with written_whole(path) as beside:
            beside.write_text("ne")
            raise ValueError("halfway")

    with pytest.raises(ValueError, match="halfway"):
        fail()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_what_cannot_be_written_is_an_os_error_before_anything_is_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for path in (tmp_path / "file" / "a.json", tmp_path):
        with pytest.raises(OSError), written_whole(path):
            pytest.fail("the block was begun")
    assert [one.name for one in tmp_path.iterdir()] == ["file"]
