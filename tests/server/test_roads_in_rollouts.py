"""A rollout on three roads: the same version for the same caller, the same bytes, and each request counted once."""

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mlapi.registry.store import Store
from mlapi.rollouts import prediction_id
from mlapi.rollouts.document import Rollout, Step
from mlapi.rollouts.generations import Generations
from mlapi.rollouts.plan import Plan
from mlapi.rollouts.transitions import Reason, start
from tests.contract.conftest import publish_all
from tests.contract.wire import binary, tensor
from tests.server.conftest import Server, until
from tests.server.roads import IRIS, logged, posted, request, same_answers, three_roads, v2
from tests.server.test_worker import Client

pytestmark = pytest.mark.server

PATH = "/v1/models/iris:predict"
ROW = tensor("input-0", [1, 4], "FP64", IRIS)
BODY = {"instances": [IRIS]}
USERS = [f"u{number}" for number in range(24)]
FOLLOWED_SECONDS = 10.0
STANDING_SECONDS = 4.0
SECRET = bytes(range(32))


@pytest.fixture(scope="module")
def rollout(
    tmp_path_factory: pytest.TempPathFactory, iris_rows: Any, iris_model: Any, homes_rows: Any, homes_model: Any,
) -> tuple[Path, Rollout]:
    """Return a registry and what runs in it: half of the callers of iris get version 2."""
    registry = tmp_path_factory.mktemp("divided") / "registry"
    publish_all(registry, iris_rows, iris_model, homes_rows, homes_model)
    plan = Plan(steps=(Step(500_000, min_duration_s=3600.0),), keys=("header:X-User-Id", "field:parameters.user"))
    why = Reason("test", "t", "2026-11-26T00:00:00Z")
    begun = Generations(Store(registry)).begin("iris", lambda serial: start("iris", serial, (1, 2), plan, why), SECRET)
    return registry, begun


@pytest.fixture(scope="module")
def roads(rollout: tuple[Path, Rollout]) -> Iterator[list[Server]]:
    registry, _ = rollout
    with three_roads(registry.parent, registry) as servers:
        for server in servers:
            assert until(lambda one=server: b"X-Mlapi-Rollout" in asked(one, posted(PATH, BODY)), FOLLOWED_SECONDS)
        yield servers


def asked(server: Server, sent: bytes) -> bytes:
    with Client(server) as client:
        client.send(sent)
        _, headers, body = client.response()
        return "".join(f"{name}: {value}\r\n" for name, value in headers.items()).encode() + body


CORPUS = [
    *(posted(PATH, BODY, X_User_Id=user) for user in USERS),
    *(posted(PATH, body, X_User_Id="u1") for body in (
        {"instances": [IRIS] * 50}, {"inputs": [IRIS] * 3}, {"instances": [IRIS], "signature_name": "predict_proba"},
        {"instances": [IRIS[:3]]}, {"instances": []}, {"instances": [["a", 1, 2, 3]]}, {}, b"", b"{",
        b'{"instances": [[NaN, 1, 2, 3]]}', {"instances": [IRIS], "signature_name": "none"},
    )),
    *(posted(path, BODY, X_User_Id="u1") for path in (
        *(f"/v1/models/iris/versions/{version}:predict" for version in (1, 2, 9)),
        "/v1/models/iris/labels/stable:predict", "/v1/models/nothing:predict", "/v1/models/iris:guess",
    )),
    *(posted(PATH, BODY, X_User_Id="u1", X_Mlapi_Variant=variant) for variant in (
        "control", "candidate", "blue", "Control", "",
    )),
    *(posted(PATH, BODY, X_User_Id=user) for user in ("a b", "a\tb", "caf\u00e9", "a" * 300, '"', "%41")),
    *(posted(PATH, BODY, X_User_Id="u1", **more) for more in (
        {"X_Request_Id": "mine"}, {"X_Request_Id": "not\tplain"}, {"Accept_Encoding": "gzip"},
        {"Traceparent": "00-1-2-01"}, {"X_Forwarded_Proto": "https"}, {"x_user_id": "u2"},
    )),
    posted(PATH, {"instances": [IRIS] * 200, "signature_name": "predict_proba"}, Accept_Encoding="gzip", X_User_Id="u"),
    *(v2("iris", ROW, id="a", parameters={"user": user}) for user in (*USERS, 7, 2**53 + 1)),
    v2("iris", binary("input-0", [1, 4], "FP64", IRIS), id="a", parameters={"user": "u1", "binary_data_output": True}),
    v2("iris", ROW, parameters={"user": "u1"}, outputs=[{"name": "predict_proba"}]),
    v2("iris", ROW, parameters={"user": "u1"}, outputs=[{"name": "none"}]),
    request("/v2/models/iris/infer", b"abc", {"X-User-Id": "u1"}),
]  # fmt: skip


@pytest.mark.parametrize("sent", CORPUS, ids=range(len(CORPUS)))
def test_each_road_gives_the_same_bytes(roads: list[Server], sent: bytes) -> None:
    for server in roads:  # on the connection of another, whose head differs in its values only
        asked(server, posted(PATH, BODY, X_User_Id="somebody", X_Request_Id="other"))
    same_answers(roads, sent)


@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
@given(user=st.text(st.characters(codec="latin-1", exclude_categories=["Cc"]), max_size=9), pinned=st.booleans())
def test_whoever_asks_each_road_gives_the_same_bytes(roads: list[Server], user: str, pinned: bool) -> None:
    variant = {"X_Mlapi_Variant": "candidate"} if pinned else {}
    named = {"X_User_Id": user} if user.strip() else {"X_User_Id": "somebody"}  # whoever has no key is drawn anew
    same_answers(roads, posted(PATH, BODY, **named, **variant))


def test_the_lane_was_taken_by_both_arms(roads: list[Server]) -> None:
    """Else the tests above would compare a road with itself."""
    variants = {}
    with Client(roads[0]) as client:
        for user in USERS:
            client.send(posted(PATH, BODY, X_User_Id=user, X_Request_Id=f"lane-{user}"))
            status, headers, _ = client.response()
            assert (status, headers["X-Request-Id"]) == (200, f"lane-{user}")
            variants[f"lane-{user}"] = headers["X-Mlapi-Variant"], headers["X-Model-Version"]
    assert set(variants.values()) == {("control", "1"), ("candidate", "2")}
    assert until(lambda: logged(roads[0], variants).keys() == variants.keys())
    assert {variants[name] for name, line in logged(roads[0], variants).items() if not line["lane"]} == set()


def test_the_lane_signs_what_it_decided(roads: list[Server], rollout: tuple[Path, Rollout]) -> None:
    _, begun = rollout
    with Client(roads[0]) as client:
        client.send(posted(PATH, BODY, X_User_Id="u3"))
        _, headers, _ = client.response()
        client.send(v2("iris", ROW, parameters={"user": "u3"}))
        _, others, body = client.response()
    first = prediction_id.read(headers["X-Mlapi-Prediction-Id"], begun.id, SECRET)
    second = prediction_id.read(others["X-Mlapi-Prediction-Id"], begun.id, SECRET)
    assert json.loads(body)["parameters"] == {"prediction_id": others["X-Mlapi-Prediction-Id"]}
    assert (first.hashed, first.unit, first.arm) == (second.hashed, "key", second.arm)
    assert headers["X-Mlapi-Prediction-Id"] != others["X-Mlapi-Prediction-Id"]


def test_each_request_is_counted_once_on_every_road(roads: list[Server], rollout: tuple[Path, Rollout]) -> None:
    """Those that the lane answers, those it leaves to the threads, and those that pinned a variant, which count not."""
    path = f"/v1/rollouts/{rollout[1].id}"

    def counted(server: Server) -> int:
        with Client(server) as client:
            client.send(request(path, None, {}, "GET"))
            report = json.loads(client.response()[2])
        return sum(arm["requests"] for arm in report["arms"].values())

    before = settled(lambda: counted(roads[0]))
    for server in roads:
        with Client(server) as client:
            for number in range(40):
                client.send(posted(PATH, BODY, X_User_Id=f"n{number}"))
                client.response()
                client.send(posted(PATH, {"instances": [IRIS[:2]]}, X_User_Id=f"n{number}"))
                client.response()
                client.send(posted(PATH, BODY, X_Mlapi_Variant="candidate"))
                client.response()
    assert settled(lambda: counted(roads[0]), before + 3 * 80) == before + 3 * 80


def settled(count: Any, wanted: int | None = None) -> int:
    """Return a count when it is what is wanted, or has not changed for some seconds."""
    last, since = count(), time.monotonic()
    while last != wanted and time.monotonic() < since + STANDING_SECONDS:
        now = count()
        if now != last:
            last, since = now, time.monotonic()
    return int(last)
