"""Every call of tritonclient.http.aio against ADDRESS, and of `mlserver infer`, which is built on it (E.2, E.4)."""
# ruff: noqa: PT017 (no pytest in the clients' environment)

import asyncio
import http.client
import json
import sys
from typing import Any

import numpy as np
import tritonclient.http.aio as triton
from tritonclient.utils import InferenceServerException

ROWS = np.array([[5.1, 3.5, 1.4, 0.2], [6.7, 3.1, 5.6, 2.4]])


async def refused(call: Any, status: str) -> None:
    """Await a call that is to fail with a status and a sentence."""
    try:
        await call
    except InferenceServerException as error:
        assert (error.status() or "").strip("[]").endswith(status), error
        assert "an exception occurred" not in error.message(), error
        return
    raise AssertionError(status)


async def calls(address: str) -> None:
    """Make every call."""
    async with triton.InferenceServerClient(address) as client:
        assert await client.is_server_live()
        assert await client.is_server_ready()
        assert await client.is_model_ready("iris", "1")
        assert (await client.get_server_metadata())["name"] == "mlapi"
        assert (await client.get_model_metadata("iris"))["versions"] == ["1", "2"]
        assert (await client.get_model_config("visits"))["input"][0]["data_type"] == "TYPE_STRING"
        assert len(await client.get_model_repository_index()) > 2
        for binary in (True, False):
            rows = triton.InferInput("input-0", [2, 4], "FP64")
            rows.set_data_from_numpy(ROWS, binary_data=binary)
            answer = await client.infer("iris", [rows], request_id="aio")
            assert answer.get_response()["id"] == "aio"
            assert answer.as_numpy("predict").ravel().tolist() == [b"setosa", b"virginica"]
        big = triton.InferInput("input-0", [1000, 4], "FP64")
        big.set_data_from_numpy(np.tile(ROWS, (500, 1)))
        for out in (True, False):
            wanted = [triton.InferRequestedOutput("predict_proba", binary_data=out)]
            for there in (None, "gzip", "deflate"):
                for back in (None, "gzip", "deflate"):
                    answer = await client.infer("iris", [big], outputs=wanted, request_compression_algorithm=there,
                                                response_compression_algorithm=back)  # fmt: skip
                    assert answer.as_numpy("predict_proba").shape == (1000, 3)
        await refused(client.infer("nope", [big]), "404")
        await refused(client.infer("visits", [big]), "400")
        await client.unload_model("tie")
        assert not await client.is_model_ready("tie")
        await client.load_model("tie")
        assert await client.is_model_ready("tie")
        await refused(client.load_model("tie", config="{}"), "400")
        await refused(client.unload_model("nope"), "404")
        assert (await client.get_inference_statistics("iris"))["model_stats"][0]["name"] == "iris"
        assert len((await client.get_inference_statistics())["model_stats"]) > 2
        await refused(client.get_system_shared_memory_status(), "404")


def as_mlserver_infer_does(address: str, *, binary: bool) -> None:
    """Send what the command sends, and read the answer as it does."""
    entry: dict[str, Any] = {"name": "input-0", "shape": [2, 4], "datatype": "FP64"}
    tail = ROWS.tobytes() if binary else b""
    entry |= {"parameters": {"binary_data_size": len(tail)}} if binary else {"data": ROWS.ravel().tolist()}
    document = {"id": "cli-1", "inputs": [entry], "parameters": {"binary_data_output": True}}
    text = json.dumps(document).encode()
    headers = {"content-type": "application/json", "seldon-puid": "cli-1", "x-request-id": "cli-1",
               "Accept": "*/*", "Accept-Encoding": "gzip, deflate, br"}  # fmt: skip
    headers |= {"Inference-Header-Content-Length": str(len(text))} if binary else {}
    connection = http.client.HTTPConnection(address, timeout=20)
    connection.request("POST", "/v2/models/iris/infer", text + tail, headers)
    response = connection.getresponse()
    body = response.read()
    connection.close()
    assert response.status == 200, body
    assert response.headers["X-Request-Id"] == "cli-1"
    answer = json.loads(body[: int(response.headers["Inference-Header-Content-Length"])])
    assert (answer["model_name"], answer["id"]) == ("iris", "cli-1")
    assert all("binary_data_size" in output["parameters"] for output in answer["outputs"])


if __name__ == "__main__":
    asyncio.run(calls(sys.argv[1]))
    for with_bytes in (True, False):
        as_mlserver_infer_does(sys.argv[1], binary=with_bytes)
    sys.stdout.write("all calls answered\n")
