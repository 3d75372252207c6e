"""Reading and writing pairs."""

import gzip
import json
from pathlib import Path

import numpy as np
import pytest

from agents.distill.pairs import FEWEST, Pair, read_pairs, usual_shares, write_pairs
from agents.errors import DistillError

_SOLD = {"jumbo bag": 9, "party bunting": 5, "clock": 1}


def _write(folder: Path, *more: Pair, many: int = FEWEST) -> None:
    write_pairs(folder, _SOLD, [*([Pair((0,), (1, 2), (3.0, 1.0))] * many), *more], {"cutoff": "2011-08-01"})


def test_what_is_written_is_read_with_weights_that_add_up_to_one(tmp_path: Path) -> None:
    _write(tmp_path, Pair((0, 2), (1,), (0.2,)))
    pairs = read_pairs(tmp_path)
    assert len(pairs) == FEWEST + 1
    assert pairs.phrases == tuple(_SOLD)
    assert pairs.history(FEWEST).tolist() == [0, 2]
    assert np.allclose(pairs.weights.sum(axis=1), 1)
    assert pairs.wants[FEWEST].tolist() == [1, -1]
    assert pairs.manifest["pairs"] == FEWEST + 1


def test_the_same_pairs_are_the_same_bytes(tmp_path: Path) -> None:
    for name in ("one", "two"):
        _write(tmp_path / name)
    assert (tmp_path / "one/pairs.jsonl.gz").read_bytes() == (tmp_path / "two/pairs.jsonl.gz").read_bytes()


def test_the_usual_shares_are_the_mean_over_pairs(tmp_path: Path) -> None:
    _write(tmp_path)
    assert usual_shares(read_pairs(tmp_path)).tolist() == [0.0, 0.75, 0.25]


def test_too_few_pairs_are_refused_with_their_number(tmp_path: Path) -> None:
    _write(tmp_path, many=3)
    with pytest.raises(DistillError, match="3 pairs"):
        read_pairs(tmp_path)


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ('{"had": [0], "wants": [9], "weights": [1]}', "from 0 to 2"),
        ('{"had": [], "wants": [1], "weights": [1]}', "some `had`"),
        ('{"had": [0], "wants": [1], "weights": []}', "as many `weights`"),
        ('{"had": [0], "wants": [0], "weights": [1]}', "though the shopper has it"),
        ('{"had": [0], "wants": [1], "weights": [0]}', "above 0"),
        ('{"had": [0], "wants": [1]}', "weights"),
        ("<html>", "malformed"),
    ],
)
def test_a_bad_line_is_named(tmp_path: Path, line: str, problem: str) -> None:
    _write(tmp_path)
    with gzip.open(tmp_path / "pairs.jsonl.gz", "at") as out:
        out.write(line + "\n")
    with pytest.raises(DistillError, match=problem) as caught:
        read_pairs(tmp_path)
    assert f"line {FEWEST + 1}" in str(caught.value)


def test_a_file_cut_short_and_a_missing_one_are_named(tmp_path: Path) -> None:
    _write(tmp_path)
    path = tmp_path / "pairs.jsonl.gz"
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(DistillError, match=r"pairs\.jsonl\.gz cannot be read"):
        read_pairs(tmp_path)
    with pytest.raises(DistillError, match=r"phrases\.jsonl cannot be read"):
        read_pairs(tmp_path / "nowhere")


@pytest.mark.parametrize("phrase", ["Jumbo Bag", 'say "hi"', "jumbo bag"])
def test_a_phrase_that_could_break_out_of_the_form_is_refused(tmp_path: Path, phrase: str) -> None:
    _write(tmp_path)
    with (tmp_path / "phrases.jsonl").open("a") as out:
        out.write(json.dumps({"phrase": phrase, "sold": 1}) + "\n")
    with pytest.raises(DistillError, match=r"phrases\.jsonl, line 4"):
        read_pairs(tmp_path)
