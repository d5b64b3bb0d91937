"""Every call of kserve's InferenceRESTClient against ADDRESS; run by test_clients.py (contract, E.3)."""
# ruff: noqa: PT017 (no pytest in the clients' environment)

import asyncio
import sys
from typing import Any

import httpx
import numpy as np
from kserve import InferenceRESTClient, InferInput, InferRequest, RESTConfig
from kserve.protocol.infer_type import RequestedOutput

ROW = np.array([[5.1, 3.5, 1.4, 0.2]])


async def refused(call: Any, status: int) -> None:
    """Await a call that is to fail with a status and the server's own sentence."""
    try:
        await call
    except httpx.HTTPStatusError as error:
        assert error.response.status_code == status, error
        assert error.response.json()["error"] in str(error), error
        return
    raise AssertionError(status)


async def first(url: str) -> None:
    """Protocol V1."""
    client = InferenceRESTClient(RESTConfig(protocol="v1"))
    assert await client.is_server_live(url)
    assert await client.is_model_ready(url, "iris")
    assert await client.infer(url, {"instances": ROW.tolist()}, model_name="iris") == {"predictions": ["setosa"]}
    await refused(client.infer(url, {"instances": [[1]]}, model_name="iris"), 400)
    await refused(client.infer(url, {"instances": ROW.tolist()}, model_name="nope"), 404)
    explained = await client.explain(url, "iris", {"instances": ROW.tolist()})
    assert explained["predictions"] == ["setosa"]
    (row,) = explained["explanations"]
    assert (row["class"], len(row["contributions"])) == ("setosa", 4)
    assert np.isfinite(row["base_value"] + sum(row["contributions"].values()))
    await refused(client.explain(url, "iris", {"instances": [[1]]}), 400)
    await refused(client.explain(url, "nope", {"instances": ROW.tolist()}), 404)
    await refused(client.explain(url, "visits", {"instances": [{"word": "x"}]}), 400)
    async with httpx.AsyncClient() as plain:
        await plain.post(f"{url}/v2/repository/models/odd/unload")
        assert await client.is_model_ready(url, "odd") is False
        await plain.post(f"{url}/v2/repository/models/odd/load")
        assert await client.is_model_ready(url, "odd") is True


async def second(url: str) -> None:
    """Protocol V2."""
    client = InferenceRESTClient(RESTConfig(protocol="v2"))
    assert await client.is_server_live(url)
    assert await client.is_server_ready(url)
    assert await client.is_model_ready(url, "iris")
    for binary in (True, False):
        for out in (True, False):
            row = InferInput("input-0", [1, 4], "FP64")
            row.set_data_from_numpy(ROW, binary_data=binary)
            request = InferRequest(model_name="iris", infer_inputs=[row], request_id="k1",
                                   parameters={"binary_data_output": out})  # fmt: skip
            answer = await client.infer(url, request, model_name="iris")
            assert (answer.model_name, answer.id) == ("iris", "k1")
            assert [output.name for output in answer.outputs] == ["predict", "predict_proba"]
            assert answer.outputs[1].as_numpy().shape == (1, 3)
            wanted = [RequestedOutput("predict_proba", {"binary_data": out})]
            request = InferRequest(model_name="iris", infer_inputs=[row], request_outputs=wanted)
            answer = await client.infer(url, request, model_name="iris")
            np.testing.assert_allclose(answer.outputs[0].as_numpy().sum(), 1)
    odd = InferInput("input-0", [1, 1], "FP64", data=[1.0])
    answer = await client.infer(url, InferRequest(model_name="odd", infer_inputs=[odd]), model_name="odd")
    assert np.isnan(np.array(answer.outputs[0].data, dtype=float)).all()
    await refused(client.infer(url, InferRequest(model_name="nope", infer_inputs=[odd]), model_name="nope"), 404)
    await refused(client.infer(url, InferRequest(model_name="iris", infer_inputs=[odd]), model_name="iris"), 400)


if __name__ == "__main__":
    asyncio.run(first(f"http://{sys.argv[1]}"))
    asyncio.run(second(f"http://{sys.argv[1]}"))
    sys.stdout.write("all calls answered\n")
