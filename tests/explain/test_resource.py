"""POST ...:explain: predictions with their explanations, 501 where there are none, faults as predict has them."""

import json

import pytest
from flask.testing import FlaskClient

ROW = [5.1, 3.5, 1.4, 0.2]
HOME = {"size": 80.0, "year": 1950.5, "rooms": 3, "city": "oslo", "garden": True}


@pytest.mark.parametrize("which", ["", "/versions/1", "/labels/stable"])
@pytest.mark.parametrize("body", [{"instances": [ROW]}, {"inputs": [ROW]}])
def test_a_classifier_explains_its_predicted_class(client: FlaskClient, which: str, body: object) -> None:
    response = client.post(f"/v1/models/iris{which}:explain", data=json.dumps(body))
    document = response.get_json()
    assert (response.status_code, document["predictions"], document["method"]) == (200, ["setosa"], "linear")
    assert response.headers["X-Model-Version"] == ("1" if which else "2")
    (explanation,) = document["explanations"]
    assert (explanation["class"], explanation["output"]) == ("setosa", "decision_function")
    assert list(explanation["contributions"]) == ["sepal length", "sepal width", "petal length", "petal width"]


def test_a_regressor_is_explained_by_column(client: FlaskClient) -> None:
    document = client.post("/v1/models/homes:explain", json={"instances": [HOME]}).get_json()
    (explanation,) = document["explanations"]
    assert list(explanation["contributions"]) == list(HOME)
    assert "class" not in explanation
    total = explanation["base_value"] + sum(explanation["contributions"].values())
    assert total == pytest.approx(document["predictions"][0])


def test_a_model_without_a_number_is_a_501(explained_client: FlaskClient) -> None:
    response = explained_client.post("/v1/models/cluster:explain", json={"instances": [[0, 0, 0, 0]]})
    sentence = (
        "version 1 of model 'cluster' cannot be explained: "
        "it answers no single number that contributions could add up to"
    )
    assert (response.status_code, response.get_json()) == (501, {"error": sentence})


@pytest.mark.parametrize(("path", "body", "status"), [
    ("/v1/models/none:explain", {"instances": [ROW]}, 404),
    ("/v1/models/iris/versions/9:explain", {"instances": [ROW]}, 404),
    ("/v1/models/iris:explain", {}, 400),
    ("/v1/models/iris:explain", {"instances": [[1]]}, 400),
])  # fmt: skip
def test_faults_are_those_of_predict(client: FlaskClient, path: str, body: object, status: int) -> None:
    explained, predicted = client.post(path, json=body), client.post(path.replace("explain", "predict"), json=body)
    assert explained.status_code == predicted.status_code == status
    assert explained.get_json() == predicted.get_json()
