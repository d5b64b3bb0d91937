"""Both documents are fuzzed: our own of every operation, and the official one of the Open Inference Protocol."""

import warnings
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import schemathesis
import yaml
from flask import Flask
from hypothesis import assume
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    positive_data_acceptance,
    response_schema_conformance,
    status_code_conformance,
)

from mlapi.inference.signature import Signature
from tests.contract.fuzzing import NEGATIVE, POSITIVE, Campaign, Case, flat, near_zero, scalars

OFFICIAL = Path(__file__).parent / "data" / "open_inference_rest.yaml"
pytestmark = pytest.mark.fuzz

REAL = {"name": "iris", "version": "1", "label": "stable"}
LAST = ("/v2/repository/models/{name}/unload", "/v2/repository/models/{name}/load")
"""What takes a model out of service, and brings it back, when all else is done."""

NOTHING_TO_GET_WRONG = {
    "GET /", "GET /v1/models", "GET /v2", "GET /v2/", "GET /v2/health/live", "GET /v2/health/ready", "GET /v2/models",
    "GET /v2/models/stats", "GET /ping", "GET /livez", "GET /readyz", "GET /metrics", "GET /openapi.json",
}  # fmt: skip
"""Operations without a parameter or a body: no case exists that does not fit them."""

ANY_TEXT_FITS = {
    "GET /v2/", "GET /v2/health/live", "GET /v2/health/ready",
    "GET /v2/models/{MODEL_NAME}/versions/{MODEL_VERSION}",
    "GET /v2/models/{MODEL_NAME}/versions/{MODEL_VERSION}/ready",
}  # fmt: skip
"""The same of the official document, whose names and versions are any text."""

CONFORMS = [status_code_conformance, content_type_conformance, response_schema_conformance]


@pytest.fixture(scope="module")
def served(make_app: Callable[..., Flask], contract_registry: Path) -> Iterator[Flask]:
    """Return an app of its own. That numbers overflow in a model is the model's to warn of, and no fault here."""
    app = make_app(contract_registry)
    app.test_client().get("/v2")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        yield app


@pytest.fixture(scope="module")
def own(served: Flask) -> tuple[Campaign, list[Any]]:
    """Return the campaign over our own document, and its operations."""
    schema = schemathesis.openapi.from_dict(served.test_client().get("/openapi.json").get_json())
    schema.app = served
    operations = sorted((found.ok() for found in schema.get_all_operations()), key=_place)
    campaign = Campaign(CONFORMS)
    for operation in operations:
        path = operation.path
        if _is_typed(path):
            fit = partial(_fit_typed, signature=_signature(served, path))
            campaign.run(operation, POSITIVE, 6, fit, (positive_data_acceptance,))
            campaign.run(operation, NEGATIVE, 5, None, (negative_data_rejection,))
            continue
        named = {name: value for name, value in REAL.items() if f"{{{name}}}" in path}
        if named:
            campaign.run(operation, POSITIVE, 4, path_parameters=named)
        campaign.run(operation, POSITIVE, 4)
        campaign.run(operation, NEGATIVE, 5)
    return campaign, operations


@pytest.fixture(scope="module")
def official(served: Flask) -> tuple[Campaign, list[Any]]:
    """Return the campaign over the protocol's document; it writes parameters of paths with a dollar (D22)."""
    document = yaml.safe_load(OFFICIAL.read_text().replace("${", "{"))
    schema = schemathesis.openapi.from_dict(document)
    schema.app = served
    campaign = Campaign([content_type_conformance, response_schema_conformance])
    operations = [found.ok() for found in schema.get_all_operations()]
    for operation in operations:
        for model, version in (("iris", "1"), ("iris", "2"), ("homes", "1"), ("visits", "1"), ("half", "1")):
            named = {"MODEL_NAME": model, "MODEL_VERSION": version} if "{" in operation.path else {}
            fit = partial(_fit_official, signature=_signature_of(served, model, int(version)))
            campaign.run(operation, POSITIVE, 12, fit if operation.method == "post" else None, path_parameters=named)
        campaign.run(operation, POSITIVE, 15 if operation.method == "post" else 60)
        campaign.run(operation, NEGATIVE, 90)
    return campaign, operations


def test_every_answer_is_as_our_document_says(own: tuple[Campaign, list[Any]]) -> None:
    """Statuses, content types, schemas; typed operations accept what fits them and refuse what does not."""
    assert own[0].wrong == []
    assert {label.split(":")[0] for label in own[0].tokens} <= {"POST /v1/models/odd/versions/1"}


def test_our_document_is_fuzzed_in_earnest(own: tuple[Campaign, list[Any]]) -> None:
    campaign, _ = own
    assert campaign.requests.total() >= 500
    assert campaign.count(200, 300) >= 100


def test_every_operation_gets_cases_that_fit_and_cases_that_do_not(own: tuple[Campaign, list[Any]]) -> None:
    campaign, operations = own
    labels = {operation.label for operation in operations}
    assert campaign.sent(POSITIVE) == labels
    assert labels - campaign.sent(NEGATIVE) == NOTHING_TO_GET_WRONG


def test_every_version_of_every_model_answers_its_typed_operations(own: tuple[Campaign, list[Any]]) -> None:
    campaign, operations = own
    typed = {operation.label for operation in operations if _is_typed(operation.path)}
    assert len(typed) >= 20
    assert {label for label in typed if not campaign.statuses[label, POSITIVE, 200]} == set()


def test_no_server_error_but_that_of_a_model_that_cannot_be_explained(own: tuple[Campaign, list[Any]]) -> None:
    failed = {(label, status) for label, _, status in own[0].statuses if status >= 500}
    assert {(label, status) for label, status in failed if status != 501 or not label.endswith(":explain")} == set()


def test_every_answer_is_as_the_official_document_says(official: tuple[Campaign, list[Any]]) -> None:
    """Where it describes the status at all: it knows 200 and 400 only; all errors are the contract's object."""
    campaign, _ = official
    assert campaign.wrong == []
    assert {status for _, _, status in campaign.statuses} <= {200, 400, 404, 415}


def test_the_official_document_is_fuzzed_in_earnest(official: tuple[Campaign, list[Any]]) -> None:
    campaign, operations = official
    infer = "POST /v2/models/{MODEL_NAME}/versions/{MODEL_VERSION}/infer"
    assert campaign.requests.total() >= 300
    assert campaign.statuses[infer, POSITIVE, 200] >= 50
    assert campaign.sent(POSITIVE) == {operation.label for operation in operations}
    assert campaign.sent(POSITIVE) - campaign.sent(NEGATIVE) == ANY_TEXT_FITS


def _place(operation: Any) -> int:
    return LAST.index(operation.path) if operation.path in LAST else -1


def _is_typed(path: str) -> bool:
    return "/versions/" in path and "{" not in path


def _signature(app: Flask, path: str) -> Signature:
    _, _, _, name, _, version = path.removesuffix("/infer").split(":")[0].split("/")
    return _signature_of(app, name, int(version))


def _signature_of(app: Flask, name: str, version: int) -> Signature:
    loaded = app.extensions["mlapi"].live.model(name).versions[version].loaded
    signature: Signature = loaded.signature
    return signature


def _fit_typed(case: Case, signature: Signature) -> None:
    """Make a case what JSON Schema cannot say: columns of one length, shapes as their data, features once."""
    assume(isinstance(case.body, dict))  # and no raw tensors, which the document cannot type
    body = near_zero(case.body)
    body.pop("context", None)
    columns = body.get("inputs")
    if isinstance(columns, dict):
        rows = min(map(len, columns.values()))
        body["inputs"] = {name: values[:rows] for name, values in columns.items()}
    if case.operation.path.endswith("/infer"):
        for tensor, spec in zip(columns, signature.inputs, strict=True):
            values = (flat(tensor["data"]) * spec.width)[: spec.width]
            tensor |= {"data": values, "shape": [1, spec.width], "datatype": spec.datatype, "parameters": {}}
        body["parameters"] = scalars(body.get("parameters"))
        for output in body.get("outputs", []):
            output["parameters"] = {}
        body["outputs"] = list({output["name"]: output for output in body.get("outputs", [])}.values())
    case.body = body


def _fit_official(case: Case, signature: Signature) -> None:
    """Give a case the names, datatypes and shapes of a real model, and of its values those that fit."""
    assume(isinstance(case.body, dict))  # a body is required, though the document does not say so
    body = case.body
    numbers = [near_zero(value) for tensor in body["inputs"] for value in flat(tensor["data"])
               if isinstance(value, int | float) and not isinstance(value, bool)] or [1]  # fmt: skip
    inputs = []
    for spec in signature.inputs:
        texts = list(spec.categories or ("x",))
        kinds: dict[str, list[Any]] = {"BYTES": texts, "BOOL": [True], "INT64": [int(value) for value in numbers]}
        values = kinds.get(spec.datatype, numbers)
        data = (values * spec.width)[: spec.width]
        inputs.append({"name": spec.name, "datatype": spec.datatype, "shape": [1, spec.width], "data": data})
    names = signature.output_names[: len(body.get("outputs", []))]
    more = {"outputs": [{"name": name} for name in names]} if names else {}
    case.body = {**({"id": body["id"]} if "id" in body else {}), "inputs": inputs, **more,
                 "parameters": scalars(body.get("parameters"))}  # fmt: skip
