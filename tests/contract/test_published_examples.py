"""The examples that the protocols' documents publish, with the models and names of these tests."""

import json
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient

EXAMPLES = [case for file in sorted((Path(__file__).parent / "data").glob("*.json"))
            for case in json.loads(file.read_text())]  # fmt: skip


@pytest.mark.parametrize("case", EXAMPLES, ids=[case["source"][:40] for case in EXAMPLES])
def test_a_published_example_gets_its_answer(client: FlaskClient, case: dict[str, Any]) -> None:
    body = None if case["request"] is None else json.dumps(case["request"])
    response = client.open(case["path"], method=case["method"], data=body)
    assert response.status_code == 200, response.data
    answer, expected = response.get_json(), case["answer"]
    assert answer.keys() == expected.keys()
    for member, value in expected.items():
        numbers = isinstance(value, list) and all(isinstance(each, float) for each in value)
        assert answer[member] == (pytest.approx(value) if numbers else value)
