from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from index.channels.channel import Scored
from index.channels.lexical import Lexical
from index.errors import CatalogSourceError
from index.evaluate.documents import read_documents
from index.evaluate.retrieval import measure, measure_channel, read_judgments

SHARED = Path(__file__).parents[4] / "shared/data/icecat"


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def test_measures_are_those_worked_out_by_hand(tmp_path: Path) -> None:
    file = write(tmp_path / "j.csv", "query,docid,rating\nmug,a,3\nmug,b,1\nmug,c,0\nhat,a,0\nmug,zz,2\n")
    judged = read_judgments(file, {"a": 0, "b": 1, "c": 2, "d": 3})
    assert judged.queries == ("mug",)
    assert judged.unanswerable == ("hat",)
    assert judged.unknown == [(6, "zz")]
    rows = np.array([[3, 1, 0, -1]])  # an unjudged one, then 1, then 3
    values = measure(judged, Scored(rows, np.array([[4, 3, 2, -np.inf]], dtype=np.float32)))
    ideal = 3 + 1 / np.log2(3)
    assert values["NDCG@10"][0] == pytest.approx((1 / np.log2(3) + 3 / np.log2(4)) / ideal)
    assert values["NDCG@10 judged only"][0] == pytest.approx((1 + 3 / np.log2(3)) / ideal)
    assert values["Recall@100"][0] == 1.0


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("query,rating\n", "docid"),
        ("query,docid,rating\nmug,a,good\n", "line 2"),
        ("query,docid,rating\nmug,zz,3\n", "unknown documents"),
    ],
)
def test_wrong_judgments_name_file_and_line(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(CatalogSourceError, match=said):
        read_judgments(write(tmp_path / "j.csv", text), {"a": 0})


def test_documents_without_id_or_title_or_given_twice_are_counted(tmp_path: Path) -> None:
    rows = [
        {"id": "1", "title": "Red mug", "supplier": "Acme"},
        {"id": "1", "title": "Again"},
        {"id": "2"},
        {"title": "x"},
    ]
    file = write(tmp_path / "c.jsonl", "".join(json.dumps(row) + "\n" for row in rows))
    found = read_documents(file)
    assert found.ids == ["1"]
    assert found.fields["brand"] == ["Acme"]
    assert sum(found.rejects.values()) == 3


@pytest.mark.real
def test_fields_find_more_on_icecat_than_one_text_does() -> None:
    if not SHARED.is_dir():
        pytest.skip("shared/data/icecat is not beside this checkout")
    documents = read_documents(SHARED / "products.jsonl.gz")
    judged = read_judgments(SHARED / "judgments.csv", documents.rows())
    titles = Lexical.build({"title": documents.fields["title"]})
    plain, fielded = measure_channel(titles, judged), measure_channel(Lexical.build(documents.fields), judged)
    assert fielded.values["Recall@100"].mean > plain.values["Recall@100"].mean + 0.05
    assert fielded.values["NDCG@10"].mean > 0.75
