import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from agents import Act, Shopper
from agents.errors import CalibrationError
from agents.judge import Calibration, Case, Judge
from agents.judge.features import ANSWERABLE, GROUNDED, NEW, Measured
from agents.judge.measures import measure_verdicts

LUNCH = Act("e1", "order", 1, "Red retrospot lunch bag", "bags", "i1")
CASE = Case(Shopper("u", 2, (LUNCH,)), ("pink lunch bag", "leather saddle", "red retrospot lunch bag"))


def _drawn(seed: int, n: int = 600) -> tuple[Measured, list[str]]:
    """Measures that tell each fault apart by the first of its part."""
    random = np.random.default_rng(seed)
    faults = ["", "wrong attribute", "other shopper", "copy"]
    labels = [faults[at % 4] for at in range(n)]

    def part(names: Sequence[str], fault: str, *, high: bool) -> np.ndarray:
        values = 0.6 * random.uniform(size=(n, len(names)))
        bad = np.array([one == fault for one in labels])
        values[:, 0] = np.where(bad == high, 0.7 + 0.5 * values[:, 0], 0.6 * values[:, 0])
        return values

    return (
        Measured(
            part(ANSWERABLE, "wrong attribute", high=False),
            part(GROUNDED, "other shopper", high=False),
            part(NEW, "copy", high=True),
            ("",) * n,
        ),
        labels,
    )


def _fitted() -> Calibration:
    fitted, labels = _drawn(0)
    later, later_labels = _drawn(1)
    return Calibration.fit(fitted, labels, later, later_labels, {"made": "of chance"})


def test_what_is_learnt_finds_the_faults_of_a_set_it_never_saw() -> None:
    calibration = _fitted()
    unseen, labels = _drawn(2)
    score = calibration.scores(unseen).score
    found = measure_verdicts(
        score.tolist(), (score >= calibration.threshold).tolist(), labels, list(range(600))
    )
    assert found.precision[0] > 0.95
    assert found.recall[0] > 0.95
    assert found.ece < 0.1


def test_where_less_is_known_the_judge_is_as_strict_as_it_takes_to_serve_no_more_faults() -> None:
    calibration = _fitted()
    known, labels = _drawn(3)
    blurred, _ = _drawn(4)
    # Of those of whom little is known every second fault of ground looks like a good demand.
    unfounded = np.array(labels) == "other shopper"
    blurred.grounded[unfounded, 0] = np.where(np.arange(unfounded.sum()) % 2, 0.9, 0.2)
    acts = GROUNDED.index("acts")
    known.grounded[:, acts], blurred.grounded[:, acts] = np.log1p(200), np.log1p(24)
    strict = calibration.stricter([(24, blurred, labels), (200, known, labels)])
    (few, bar), (many, own) = strict.less_known
    assert (few, many, own) == (24, 200, calibration.threshold)
    good = np.array(labels) == ""

    def pure(measured: Measured, least: float | np.ndarray) -> float:
        kept = strict.scores(measured).score >= least
        return float(good[kept].mean())

    assert bar > own
    assert pure(blurred, own) < pure(known, own)
    assert (strict.thresholds(blurred) == bar).all()
    between = Measured(known.answerable, known.grounded.copy(), known.new, known.best)
    between.grounded[:, acts] = np.log1p(70)
    assert ((strict.thresholds(between) < bar) & (strict.thresholds(between) > own)).all()


def test_each_part_answers_for_its_own_fault() -> None:
    unseen, labels = _drawn(2)
    parts = _fitted().scores(unseen).parts
    named = np.array(labels)
    for column, fault in enumerate(("wrong attribute", "other shopper", "copy")):
        means = [parts[named == fault, other].mean() for other in range(3)]
        assert int(np.argmin(means)) == column


def test_a_calibration_comes_back_from_its_file_with_its_making(tmp_path: Path) -> None:
    calibration, (unseen, _) = _fitted(), _drawn(2)
    calibration.save(tmp_path / "judge.json")
    again = Calibration.load(tmp_path / "judge.json")
    assert again.making == {"made": "of chance"}
    assert again.threshold == calibration.threshold
    assert again.less_known == calibration.less_known
    assert again.scores(unseen).score == pytest.approx(calibration.scores(unseen).score)


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"version": 1}', json.dumps({"version": 99})])
def test_a_file_that_holds_no_calibration_is_named(tmp_path: Path, content: str) -> None:
    (tmp_path / "judge.json").write_text(content)
    with pytest.raises(CalibrationError, match=r"judge\.json"):
        Calibration.load(tmp_path / "judge.json")


def test_the_packaged_calibration_keeps_the_grounded_and_rejects_the_absent_and_the_copy(shop) -> None:
    ((good, absent, copy),) = Judge(shop, Calibration.load()).judge([CASE])
    assert good.score > max(absent.score, copy.score)
    assert not absent.kept
    assert "catalogue lacks it" in absent.reasons[0]
    assert not copy.kept
    assert "copy" in " ".join(copy.reasons)


def test_a_threshold_of_one_keeps_nothing_and_names_reasons_and_nought_keeps_all(shop) -> None:
    calibration = Calibration.load()
    assert all(one.kept for one in Judge(shop, calibration, 0.0).judge([CASE])[0])
    strict = Judge(shop, calibration, 1.01).judge([CASE])[0]
    assert all(not one.kept and one.reasons for one in strict)


def test_verdicts_come_by_case_and_in_order(shop) -> None:
    empty = Case(CASE.shopper, ())
    found = Judge(shop, Calibration.load()).judge([empty, CASE, empty])
    assert [len(one) for one in found] == [0, 3, 0]
    assert found[1] == Judge(shop, Calibration.load()).judge([CASE])[0]


def test_a_copy_by_definition_is_rejected_whatever_else_speaks_for_it(shop) -> None:
    case = Case(
        CASE.shopper, ("lunch bag retrospot", "Parmesan cheeses", "lunch bag"), shown=("parmesan cheese",)
    )
    ((copy, leak, general),) = Judge(shop, Calibration.load()).judge([case])
    assert (copy.score, copy.new, leak.score, leak.new) == (0.0, 0.0, 0.0, 0.0)
    assert general.score > 0.0


def test_measures_count_both_ways() -> None:
    found = measure_verdicts(
        [0.9, 0.8, 0.2, 0.1], [True, True, False, False], ["", "copy", "copy", "leak"], [1, 2, 3, 4]
    )
    assert found.precision[0] == 1.0
    assert found.recall[0] == pytest.approx(2 / 3)
    assert (found.kept_precision[0], found.kept_recall[0]) == (0.5, 1.0)
    assert found.auc == 1.0
    assert found.cut == pytest.approx(1 - 0.5 / 0.75)
    assert found.rejected == {"": 0.0, "copy": 0.5, "leak": 1.0}
    assert found.brier == pytest.approx((0.01 + 0.64 + 0.04 + 0.01) / 4)
