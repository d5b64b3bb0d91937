"""Three roads, one answer: the express lane, the threads behind the loop, and plain gunicorn, byte for byte.

A corpus of good and bad requests, and requests put together at random, go to three servers over one registry; only
dates, new request ids and new inference ids may differ.
"""

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.contract.conftest import publish_all
from tests.contract.wire import LENGTH, binary, tensor
from tests.server.conftest import Server, until
from tests.server.roads import IRIS, logged, posted, request, same_answers, three_roads, v2
from tests.server.test_worker import Client

pytestmark = pytest.mark.server

VISIT = {"word": "oslo", "count": 3, "known": True, "score": 0.25}


@pytest.fixture(scope="module")
def roads(
    tmp_path_factory: pytest.TempPathFactory, iris_rows: Any, iris_model: Any, homes_rows: Any, homes_model: Any,
) -> Iterator[list[Server]]:
    """Return the servers: with the lane, without it, and plain gunicorn with threads."""
    folder = tmp_path_factory.mktemp("roads")
    publish_all(folder / "registry", iris_rows, iris_model, homes_rows, homes_model)
    with three_roads(folder, folder / "registry") as servers:
        yield servers


ROW = tensor("input-0", [1, 4], "FP64", IRIS)
CORPUS = [
    *(posted(f"/v1/models/iris{which}:predict", {"instances": [IRIS]})
      for which in ("", "/versions/1", "/versions/2", "/versions/3", "/versions/01", "/labels/stable", "/labels/none")),
    *(posted("/v1/models/iris:predict", body) for body in (
        {"instances": [IRIS] * 50}, {"inputs": [IRIS] * 3}, {"instances": [IRIS], "signature_name": "predict_proba"},
        {"instances": [IRIS] * 100, "signature_name": "predict_proba"}, {"instances": [IRIS[:3]]}, {"instances": []},
        {"instances": [IRIS, IRIS[:3]]}, {"instances": [["a", 1, 2, 3]]}, {"instances": [[None, 1, 2, 3]]},
        {"instances": [[True, 1, 2, 3]]}, {"instances": IRIS}, {"instances": [IRIS], "inputs": [IRIS]}, {}, [], 3,
        {"instances": [[1e300, -1e300, 0, 1]]}, {"instances": [[10**400, 1, 2, 3]]}, {"instances": [[2**63, 1, 2, 3]]},
        {"instances": [{"sepal length": 1, "sepal width": 2, "petal length": 3, "petal width": 4}]},
        {"instances": [{"sepal length": 1}]}, {"inputs": {"input-0": [IRIS]}}, {"instances": [IRIS], "more": 1},
        b"", b"{", b"\xff", b'{"instances": [[NaN, 1, 2, 3]]}', b'{"instances": [[1e999, 1, 2, 3]]}', b"[" * 3000,
        b'{"instances": [[1,2,3,4]], "instances": [[5,6,7,8]]}', b'\xef\xbb\xbf{"instances": [[1,2,3,4]]}',
        b' \n{"instances" :\t[[1, 2, 3,4 ] ] }\n', b'{"instances": [[1,2,3,4],]}', b'{"instances": [[01,2,3,4]]}',
    )),
    *(posted("/v1/models/visits:predict", body) for body in (
        {"instances": [VISIT]}, {"instances": [VISIT] * 20}, {"instances": [{**VISIT, "word": "elsewhere"}]},
        {"instances": [{**VISIT, "count": 1.5}]}, {"instances": [{**VISIT, "word": None}]}, {"instances": [{}]},
        {"inputs": {name: [value] for name, value in VISIT.items()}}, {"instances": [list(VISIT.values())]},
        {"instances": [VISIT], "signature_name": "predict_proba"}, {"instances": [{**VISIT, "extra": 1}]},
    )),
    *(posted("/v1/models/iris:predict", {"instances": [IRIS]}, **headers) for headers in (
        {"Content_Type": "application/json"}, {"Content_Type": "application/json; charset=utf-8"},
        {"Content_Type": "text/plain"}, {"Content_Type": "application/x-www-form-urlencoded"},
        {"Content_Type": "application/xml"}, {"Content_Encoding": "gzip"}, {"Content_Encoding": "identity"},
        {"Content_Encoding": "br"}, {"Accept_Encoding": "gzip"}, {"Accept_Encoding": "gzip;q=0, *"},
        {"Connection": "keep-alive"}, {"X_Request_Id": "mine"}, {"X_Request_Id": "not\tplain"},
        {"Accept": "text/html"}, {"Cookie": "a=b"},
    )),
    posted("/v1/models/iris:predict?query=1", {"instances": [IRIS]}),
    posted("/v1/models/iris:predict", {"instances": [IRIS] * 200, "signature_name": "predict_proba"},
           Accept_Encoding="gzip"),
    posted("/v1/models/%69ris:predict", {"instances": [IRIS]}), posted("/v1/models/iris%2e:predict", {"a": 1}),
    posted("/v1/models/nothing:predict", {"instances": [IRIS]}), posted("/v1/models/iris:guess", {"instances": [IRIS]}),
    posted("/v1//models/iris:predict", {"instances": [IRIS]}),
    posted("/v1/models/iris:predict/", {"instances": [IRIS]}),
    posted("/v1/models/iris:classify", {"examples": [{"input-0": IRIS}]}),
    posted("/v1/models/odd:predict", {"instances": [[0], [1], [2], [3]]}),
    posted("/v1/models/tie:predict", {"instances": [[0.0]]}), posted("/v1/models/half:predict", {"instances": [3]}),
    v2("iris", ROW), v2("iris", ROW, id="mine"), v2("iris", ROW, id=""), v2("iris", ROW, id=3),
    v2("iris", ROW, outputs=[{"name": "predict_proba"}], id="a"), v2("iris", ROW, outputs=[{"name": "none"}]),
    v2("iris", ROW, outputs=[{"name": "predict"}, {"name": "predict"}]),
    v2("iris", tensor("input-0", [1, 4], "FP32", IRIS), id="a"), v2("iris", tensor("x", [1, 4], "FP64", IRIS)),
    v2("iris", tensor("input-0", [2, 4], "FP64", IRIS)), v2("iris", tensor("input-0", [1, 4], "INT64", [1, 2, 3, 4])),
    v2("iris", tensor("input-0", [1, 4], "FP64", [None, 1, 2, 3])), v2("iris", tensor("input-0", [4], "FP64", IRIS)),
    v2("iris", binary("input-0", [1, 4], "FP64", IRIS), id="a"), v2("iris", binary("input-0", [1, 4], "FP32", IRIS)),
    v2("iris", binary("input-0", [1, 4], "FP64", IRIS), parameters={"binary_data_output": True},
       outputs=[{"name": "predict_proba"}], id="a"),
    v2("iris", ROW, outputs=[{"name": "predict_proba", "parameters": {"classification": 2}}], id="a"),
    v2("odd", tensor("input-0", [4, 1], "FP64", [0, 1, 2, 3]), id="a"),
    request("/v2/models/iris/infer", b'{"inputs": []}', {}), request("/v2/models/iris/infer", b"", {LENGTH: "0"}),
    request("/v2/models/iris/infer", b"abc", {LENGTH: "9"}), request("/v2/models/iris/infer", None, {}),
    *(request(path, None, {}, "GET") for path in (
        "/", "/livez", "/readyz", "/ping", "/v2", "/v2/", "/v2/health/live", "/v2/health/ready", "/v2/models",
        "/v1/models", "/v1/models/iris", "/v1/models/iris/metadata", "/v2/models/iris", "/v2/models/iris/config",
        "/v2/models/none", "/none", "/v1/models/iris:predict", "/livez?x=1", "//livez",
    )),
    *(request("/livez", None, {}, method) for method in ("DELETE", "OPTIONS", "PUT")),
    request("/livez", b"body", {}), request("/livez", b"body", {}, "GET"),
]  # fmt: skip


@pytest.mark.parametrize("sent", CORPUS, ids=range(len(CORPUS)))
def test_each_road_gives_the_same_bytes(roads: list[Server], sent: bytes) -> None:
    assert same_answers(roads, sent)


numbers = st.one_of(
    st.floats(allow_nan=True, allow_infinity=False), st.integers(-(2**70), 2**70), st.integers(-9, 9), st.booleans(),
    st.none(), st.text(max_size=3),
)
rows = st.lists(st.lists(st.one_of(st.floats(-9, 9), numbers), min_size=3, max_size=5), max_size=5)
documents = st.one_of(
    st.fixed_dictionaries({"instances": st.lists(st.lists(st.floats(-9, 9), min_size=4, max_size=4), max_size=9)}),
    st.fixed_dictionaries({"instances": rows}),
    st.fixed_dictionaries({"inputs": st.one_of(rows, st.dictionaries(st.sampled_from(["input-0", "x"]), rows))}),
    st.fixed_dictionaries({"instances": rows, "signature_name": st.sampled_from(["", "predict_proba", "none"])}),
    st.dictionaries(st.text(max_size=4), numbers, max_size=3),
)


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(document=documents, path=st.sampled_from(["/v1/models/iris:predict", "/v1/models/iris/versions/1:predict"]))
def test_whatever_is_sent_each_road_gives_the_same_bytes(roads: list[Server], document: Any, path: str) -> None:
    assert same_answers(roads, posted(path, document))


def test_the_lane_was_taken(roads: list[Server]) -> None:
    """Else the tests above would compare a road with itself."""
    lane = roads[0]
    with Client(lane) as client:
        client.send(posted("/v1/models/iris:predict", {"instances": [IRIS]}, X_Request_Id="on-the-lane"))
        assert client.response()[0] == 200
    assert until(lambda: "on-the-lane" in logged(lane, {"on-the-lane"}))
    assert logged(lane, {"on-the-lane"})["on-the-lane"]["lane"]
