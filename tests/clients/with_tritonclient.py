"""Every call of tritonclient.http against ADDRESS; run by test_clients.py (contract, E.1)."""
# ruff: noqa: PT017 (no pytest in the clients' environment)

import sys
from typing import Any

import numpy as np
import tritonclient.http as triton
from tritonclient.utils import InferenceServerException

ROWS = np.array([[5.1, 3.5, 1.4, 0.2], [6.7, 3.1, 5.6, 2.4]])


def tensor(name: str, values: Any, datatype: str, *, binary: bool = True) -> triton.InferInput:
    """Return an input."""
    given = triton.InferInput(name, list(values.shape), datatype)
    given.set_data_from_numpy(values, binary_data=binary)
    return given


def texts(array: Any) -> list[str]:
    """Return text, which is bytes where it travelled as such."""
    return [each.decode() if isinstance(each, bytes) else each for each in array.ravel().tolist()]


def refused(call: Any, *arguments: Any, status: str, **options: Any) -> None:
    """Make a call that is to fail with a status and a sentence."""
    try:
        call(*arguments, **options)
    except InferenceServerException as error:
        assert (error.status() or "").strip("[]").endswith(status), error
        assert error.message()
        assert "an exception occurred" not in error.message(), error
        return
    msg = f"{call.__name__} was not refused"
    raise AssertionError(msg)


def metadata(client: triton.InferenceServerClient) -> None:
    """Health, metadata, configuration."""
    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.is_model_ready("iris")
    assert client.is_model_ready("iris", "1")
    assert not client.is_model_ready("nope")
    assert client.get_server_metadata()["name"] == "mlapi"
    assert client.get_model_metadata("iris")["versions"] == ["1", "2"]
    assert client.get_model_metadata("iris", "1")["inputs"][0]["shape"] == [-1, 4]
    assert client.get_model_config("iris")["input"][0]["dims"] == [4]
    assert client.get_model_config("iris", "1")["backend"] == "sklearn"
    assert {"name": "iris", "version": "2", "state": "READY", "reason": ""} in client.get_model_repository_index()
    refused(client.get_model_metadata, "nope", status="404")
    refused(client.get_system_shared_memory_status, status="404")
    refused(client.get_cuda_shared_memory_status, status="404")
    refused(client.get_trace_settings, status="404")
    refused(client.get_log_settings, status="404")


def inference(client: triton.InferenceServerClient) -> None:
    """Infer in every form."""
    for binary in (True, False):
        rows = tensor("input-0", ROWS, "FP64", binary=binary)
        answer = client.infer("iris", [rows])
        assert texts(answer.as_numpy("predict")) == ["setosa", "virginica"]
        assert answer.as_numpy("predict_proba").shape == (2, 3)
        for out in (True, False):
            wanted = [triton.InferRequestedOutput("predict_proba", binary_data=out),
                      triton.InferRequestedOutput("predict", binary_data=not out)]  # fmt: skip
            answer = client.infer("iris", [rows], outputs=wanted, request_id="x-1", model_version="1",
                                  priority=1, timeout=1000, parameters={"mine": "yes"}, sequence_id=7,
                                  sequence_start=True, sequence_end=True)  # fmt: skip
            response = answer.get_response()
            assert (response["id"], response["model_version"]) == ("x-1", "1")
            assert texts(answer.as_numpy("predict")) == ["setosa", "virginica"]
            np.testing.assert_allclose(answer.as_numpy("predict_proba").sum(axis=1), 1)
            best = triton.InferRequestedOutput("predict_proba", binary_data=out, class_count=2)
            ranks = client.infer("iris", [rows], outputs=[best]).as_numpy("predict_proba")
            assert ranks.shape == (2, 2)
            assert texts(ranks)[0].endswith(":0:setosa")
        for there in (None, "gzip", "deflate"):
            for back in (None, "gzip", "deflate"):
                many = tensor("input-0", np.tile(ROWS, (100, 1)), "FP64", binary=binary)
                answer = client.infer("iris", [many], request_compression_algorithm=there,
                                      response_compression_algorithm=back)  # fmt: skip
                assert answer.as_numpy("predict_proba").shape == (200, 3)
    for datatype, kind in (("FP32", "f4"), ("FP16", "f2"), ("INT32", "i4"), ("UINT8", "u1")):
        answer = client.infer("iris", [tensor("input-0", ROWS.astype(kind), datatype)])
        assert answer.as_numpy("predict").shape == (2, 1)
    columns = {"word": ("BYTES", np.array([["köln"], [""]], dtype=object)), "count": ("INT64", np.array([[1], [2]])),
               "known": ("BOOL", np.array([[True], [False]])), "score": ("FP64", np.array([[0.1], [2.0]]))}  # fmt: skip
    inputs = [tensor(name, values, datatype) for name, (datatype, values) in columns.items()]
    assert client.infer("visits", inputs).as_numpy("predict").dtype == np.int64
    body, length = triton.InferenceServerClient.generate_request_body([tensor("input-0", ROWS, "FP64")])
    assert 0 < length < len(body)
    pending = client.async_infer("iris", [tensor("input-0", ROWS, "FP64")])
    assert pending.get_result().as_numpy("predict").shape == (2, 1)
    odd = client.infer("odd", [tensor("input-0", np.array([[1.0]]), "FP64")],
                       outputs=[triton.InferRequestedOutput("predict", binary_data=False)])  # fmt: skip
    assert np.isnan(odd.as_numpy("predict").astype(float)).all()
    refused(client.infer, "nope", inputs, status="404")
    refused(client.infer, "iris", inputs, status="400")
    refused(client.infer, "iris", [tensor("input-0", ROWS, "FP64")], model_version="9", status="404")


def repository(address: str, client: triton.InferenceServerClient) -> None:
    """Load and unload, confirmed on connections of their own; statistics."""
    client.unload_model("half", unload_dependents=False)
    for _ in range(30):
        with triton.InferenceServerClient(address) as fresh:
            assert not fresh.is_model_ready("half")
    refused(client.infer, "half", [tensor("input-0", np.array([[1.0]]), "FP64")], status="503")
    client.load_model("half")
    for _ in range(30):
        with triton.InferenceServerClient(address) as fresh:
            assert fresh.is_model_ready("half")
    refused(client.load_model, "half", config="{}", status="400")
    refused(client.load_model, "half", config="{}", files={"file:1/model": b"x"}, status="400")
    refused(client.load_model, "nope", status="404")
    refused(client.unload_model, "nope", status="404")
    assert len(client.get_inference_statistics()["model_stats"]) > 2
    assert len(client.get_inference_statistics("iris")["model_stats"]) == 2
    assert any(succeeded(client) for _ in range(2000))  # the other worker writes within half a second


def succeeded(client: triton.InferenceServerClient) -> int:
    """Return how many inferences of iris 1 were answered."""
    (entry,) = client.get_inference_statistics("iris", "1")["model_stats"]
    return int(entry["inference_stats"]["success"]["count"])


def main(address: str) -> None:
    """Make every call."""
    with triton.InferenceServerClient(address, concurrency=2) as client:
        metadata(client)
        inference(client)
        repository(address, client)
    sys.stdout.write("all calls answered\n")


if __name__ == "__main__":
    main(sys.argv[1])
