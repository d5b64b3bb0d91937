"""The metrics over HTTP, read by the parsers of the library that defines their formats."""

import gzip
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from prometheus_client import openmetrics
from prometheus_client.openmetrics.parser import text_string_to_metric_families as read_openmetrics
from prometheus_client.parser import text_string_to_metric_families as read_text

from mlapi.inference.values import InferenceEvent
from mlapi.serving.metric_families import FAMILIES

FLOWER = {"instances": [[5.1, 3.5, 1.4, 0.2]]}
OPENMETRICS = "application/openmetrics-text; version=1.0.0"

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


@pytest.fixture
def app(make_app: Callable[..., Flask], registry_copy: Path) -> Flask:
    """Return an app over a registry of the test's own."""
    return make_app(registry_copy)


def read(client: FlaskClient) -> Samples:
    """Return every sample by its name and labels."""
    answer = client.get("/metrics")
    assert answer.status_code == 200, answer.data
    families = read_text(answer.get_data(as_text=True))
    return {(one.name, frozenset(one.labels.items())): one.value for family in families for one in family.samples}


def of(samples: Samples, metric: str, /, **labels: str) -> float:
    """Return one sample; 0 where there is none."""
    return samples.get((metric, frozenset(labels.items())), 0)


def test_every_family_is_told_of_with_its_kind_in_both_formats(client: FlaskClient) -> None:
    plain = client.get("/metrics")
    assert plain.content_type.startswith("text/plain; version=0.0.4")
    kinds = {family.name: family.type for family in read_text(plain.get_data(as_text=True))}
    assert kinds == {family.name.removesuffix("_total"): family.kind for family in FAMILIES}
    open_ = client.get("/metrics", headers={"Accept": OPENMETRICS})
    assert open_.content_type.split(";")[0] == openmetrics.exposition.CONTENT_TYPE_LATEST.split(";")[0]
    kinds = {family.name: family.type for family in read_openmetrics(open_.get_data(as_text=True))}
    assert kinds == {family.name.removesuffix("_total"): family.kind for family in FAMILIES}


@pytest.mark.parametrize(("accept", "is_open"), [
    ("application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,text/plain;version=0.0.4;q=0.3", True),
    ("application/openmetrics-text; version=abc", True), ("application/openmetrics-text;version=99.1.evil", True),
    ("application/openmetrics-text;q=0", False), ("text/plain;version=--1", False), ("text/plain; version=zz", False),
    ("*/*", False), ("", False), (";;,,", False), ("text/html", False),
])  # fmt: skip
def test_whatever_is_accepted_the_format_is_one_that_exists(client: FlaskClient, accept: str, is_open: bool) -> None:
    answer = client.get("/metrics", headers={"Accept": accept})
    kind = "application/openmetrics-text; version=1.0.0" if is_open else "text/plain; version=0.0.4"
    assert (answer.status_code, answer.content_type.startswith(kind)) == (200, True)
    assert "evil" not in answer.content_type


def test_inference_is_counted_by_version_and_outcome(client: FlaskClient) -> None:
    for body in (FLOWER, {"instances": [[5.1, 3.5, 1.4, 0.2], [5.9, 3.0, 5.1, 1.8]]}, {"instances": [["long"]]}):
        client.post("/v1/models/iris/versions/1:predict", json=body)
    samples, version = read(client), {"model": "iris", "version": "1"}
    assert of(samples, "mlapi_inference_requests_total", outcome="success", **version) == 2
    assert of(samples, "mlapi_inference_requests_total", outcome="failure", **version) == 1
    assert of(samples, "mlapi_inference_rows_total", **version) == 3
    assert of(samples, "mlapi_inference_executions_total", **version) == 2
    assert of(samples, "mlapi_inference_duration_seconds_count", **version) == 2
    assert of(samples, "mlapi_inference_duration_seconds_bucket", le="+Inf", **version) == 2
    phases = sum(
        of(samples, "mlapi_inference_phase_seconds_total", phase=f"compute_{phase}", **version)
        for phase in ("input", "infer", "output")
    )
    assert phases > 0
    assert of(samples, "mlapi_inference_duration_seconds_sum", **version) == pytest.approx(phases)
    assert abs(of(samples, "mlapi_inference_last_success_timestamp_seconds", **version) - time.time()) < 60


def test_requests_are_counted_by_route_and_no_label_is_the_callers(client: FlaskClient) -> None:
    client.post("/v1/models/iris:predict", json=FLOWER)
    for path in ("/v1/models/nobody-knows-it:predict", "/nothing/here"):
        client.post(path, json=FLOWER)
    client.open("/v1/models", method="PROPFIND")
    samples = read(client)
    predict = {"method": "POST", "route": "/v1/models/{name}:predict"}
    assert of(samples, "mlapi_http_requests_total", status="200", **predict) == 1
    assert of(samples, "mlapi_http_requests_total", status="404", **predict) == 1
    assert of(samples, "mlapi_http_requests_total", status="404", method="POST", route="unknown") == 1
    assert of(samples, "mlapi_http_requests_total", status="405", method="other", route="unknown") == 1
    assert of(samples, "mlapi_http_request_duration_seconds_count", route=predict["route"]) == 2
    assert "nobody" not in client.get("/metrics").get_data(as_text=True)


def test_what_prometheus_asks_compressed_is_compressed(client: FlaskClient) -> None:
    answer = client.get("/metrics", headers={"Accept-Encoding": "gzip"})
    assert (answer.headers["Content-Encoding"], answer.headers["Vary"]) == ("gzip", "Accept, Accept-Encoding")
    assert list(read_text(gzip.decompress(answer.data).decode()))


def test_a_rollout_is_told_with_its_arms_its_evidence_and_its_end(client: FlaskClient, app: Flask) -> None:
    services = app.extensions["mlapi"]
    began = client.post("/v1/rollouts", json={"model": "iris", "candidate": "2", "plan": [{"weight": 0.25}]})
    services.rollouts.tick()
    named = {"model": "iris", "rollout": began.get_json()["id"]}
    for _ in range(40):
        client.post("/v1/models/iris:predict", json=FLOWER)
    services.rollouts.flush()
    services.controller.tick()
    samples = read_after_a_beat(client, app)
    arms = [of(samples, "mlapi_rollout_requests_total", arm=arm, **named) for arm in ("control", "candidate")]
    assert (sum(arms), min(arms) > 0) == (40, True)
    assert of(samples, "mlapi_rollout_info", control="1", candidate="2", state="running", **named) == 1
    assert of(samples, "mlapi_rollout_candidate_ratio", **named) == 0.25
    assert (of(samples, "mlapi_rollout_step", **named), of(samples, "mlapi_rollout_generation", **named)) == (0, 1)
    assert of(samples, "mlapi_rollout_failures_total", arm="candidate", kind="errors", **named) == 0
    point = services.controller.looks[named["rollout"]]
    for name, value in point.evidence.items():
        assert of(samples, "mlapi_rollout_evidence", name=name, **named) == pytest.approx(value)
    assert {"e_errors", "p_srm"} <= point.evidence.keys()
    client.post(f"/v1/rollouts/{named['rollout']}:promote", json={})
    services.rollouts.tick()
    services.controller.tick()
    samples = read_after_a_beat(client, app)
    assert of(samples, "mlapi_rollout_info", control="1", candidate="2", state="promoted", **named) == 1
    assert not [name for name, _ in samples if name == "mlapi_rollout_evidence"]


def read_after_a_beat(client: FlaskClient, app: Flask) -> Samples:
    """Return the samples after what holds now was written once more."""
    app.extensions["mlapi"].files._at = float("-inf")
    return read(client)


def test_a_registry_that_is_gone_is_told_and_so_is_the_rollout_whose_control_alone_answers(
    client: FlaskClient, app: Flask, registry_copy: Path, monkeypatch: pytest.MonkeyPatch,
) -> None:
    services, clock = app.extensions["mlapi"], Forward()
    began = client.post("/v1/rollouts", json={"model": "iris", "candidate": "2"})
    services.rollouts.tick()
    named = {"model": "iris", "rollout": began.get_json()["id"]}
    samples = read_after_a_beat(client, app)
    assert of(samples, "mlapi_registry_silence_seconds") < 5
    assert samples["mlapi_rollout_stale_workers", frozenset(named.items())] == 0
    registry_copy.rename(registry_copy.with_name("away"))
    for who in (services.router, services.metrics, services.rollouts):
        monkeypatch.setattr(who, "_monotonic", clock)
    clock.ahead = 31
    services.rollouts.tick()
    samples = read_after_a_beat(client, app)
    assert 30 < of(samples, "mlapi_registry_silence_seconds") < 60
    assert of(samples, "mlapi_rollout_stale_workers", **named) == 1
    registry_copy.with_name("away").rename(registry_copy)
    services.rollouts.tick()
    samples = read_after_a_beat(client, app)
    assert of(samples, "mlapi_registry_silence_seconds") < 30
    assert of(samples, "mlapi_rollout_stale_workers", **named) == 0


class Forward:
    """The monotonic clock, some seconds ahead."""

    ahead = 0.0

    def __call__(self) -> float:
        return time.monotonic() + self.ahead


def test_an_observer_that_fails_is_counted(make_app: Callable[..., Flask], registry: Path) -> None:
    app = make_app(registry)
    client, plane = app.test_client(), app.extensions["mlapi"].plane

    def broken(_: InferenceEvent) -> None:
        raise RuntimeError("no")

    plane._observers = (*plane._observers, broken)
    assert client.post("/v1/models/iris:predict", json=FLOWER).status_code == 200
    assert of(read(client), "mlapi_observer_failures_total") == 1


def test_lines_without_room_are_counted_by_their_log(client: FlaskClient, app: Flask, tmp_path: Path) -> None:
    services = app.extensions["mlapi"]
    services.lines.lose(tmp_path, 3)
    services.exposures.dropped += 2
    samples = read(client)
    dropped = {log: of(samples, "mlapi_dropped_lines_total", log=log) for log in ("exposures", "pairs", "requests")}
    assert dropped == {"exposures": 2, "pairs": 3, "requests": 0}


def test_what_is_loaded_and_refused_is_told(make_app: Callable[..., Flask], registry_copy: Path) -> None:
    (registry_copy / "iris" / "2" / "model.joblib").chmod(0o644)
    (registry_copy / "iris" / "2" / "model.joblib").write_bytes(b"damaged")
    samples = read(make_app(registry_copy).test_client())
    assert of(samples, "mlapi_model_versions", model="iris", state="UNAVAILABLE") == 1
    assert of(samples, "mlapi_model_versions", model="iris", state="READY") >= 1
    assert ("mlapi_server_connections", frozenset[Any]()) not in samples  # only mlapi's own server knows


def test_a_counter_never_becomes_less_whoever_answers(
    make_app: Callable[..., Flask], registry: Path, tmp_path: Path,
) -> None:
    """Two apps over one run folder are two workers: each request counts at once, whichever is asked next."""
    clients = [make_app(registry, run_folder=tmp_path).test_client() for _ in range(2)]
    labels, counts = {"model": "iris", "version": "1", "outcome": "success"}, []
    for number in range(12):
        clients[number % 2].post("/v1/models/iris/versions/1:predict", json=FLOWER)
        counts.append(of(read(clients[number % 2]), "mlapi_inference_requests_total", **labels))
        counts.append(of(read(clients[1 - number % 2]), "mlapi_inference_requests_total", **labels))
    assert counts == [number for number in range(1, 13) for _ in range(2)]
    assert of(read(clients[0]), "mlapi_workers") == 2
