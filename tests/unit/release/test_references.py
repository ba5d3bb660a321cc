"""Files that documents name: found wherever they stand, by their addresses and by nothing else."""

import pytest

from lockgate_release.documents.references import references_in
from lockgate_release.layout import artifact_path
from lockgate_release.names import Sha256Hex
from lockgate_release.strict_json import Json, JsonObject

ONE, TWO = Sha256Hex("1" * 64), Sha256Hex("2" * 64)


def _found(document: JsonObject) -> dict[str, int | None]:
    return {sha256: one.size_bytes for sha256, one in references_in(document).items()}


@pytest.mark.parametrize(
    ("document", "size"),
    [
        ({"path": artifact_path(ONE), "sha256": ONE, "size": 7}, 7),
        ({"list": [{"in": [{"path": artifact_path(ONE), "size": 0}]}]}, 0),
        ({"path": artifact_path(ONE), "size": -1}, None),
        ({"path": artifact_path(ONE), "size": True}, None),
        ({"path": artifact_path(ONE), "size": "7"}, None),
        ({"size": 7, "icon": artifact_path(ONE)}, None),
        ({"size": 7, "path": [artifact_path(ONE)]}, None),
        ({"icon": artifact_path(ONE), "later": [{"path": artifact_path(ONE), "size": 9}]}, 9),
    ],
)
def test_a_file_is_found_wherever_it_stands(document: JsonObject, size: int | None) -> None:
    assert _found(document) == {ONE: size}


@pytest.mark.parametrize(
    "text",
    [
        ONE,
        f"artifacts/22/{ONE}",
        f"/artifacts/11/{ONE}",
        f"artifacts/11/{ONE}/",
        f"artifacts/11/{ONE}\n",
        f"artifacts/11/{ONE[:-1]}",
        f"ARTIFACTS/11/{ONE}",
    ],
)
def test_what_is_no_address_names_nothing(text: str) -> None:
    values: list[Json] = [text, {"path": text, "sha256": ONE, "size": 1}]
    assert _found({"a": values}) == {}


def test_every_file_is_found_once() -> None:
    both: list[Json] = [artifact_path(ONE), artifact_path(TWO), artifact_path(ONE)]
    assert _found({"a": both, "b": both}) == {ONE: None, TWO: None}
