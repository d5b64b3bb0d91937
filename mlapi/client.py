"""A small client for a running server: metadata and predictions over V1 and V2."""

import http.client
import json
import urllib.error
import urllib.request
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from mlapi.errors import InvalidRequest, ModelNotReady, NotFound, ServerUnreachable

TIMEOUT_SECONDS = 30.0


class _AnswerNotFound(NotFound):
    """What the server said to a name it does not know."""


@dataclass(frozen=True, slots=True)
class Client:
    """Speaks to the server at `url`, such as http://127.0.0.1:8000."""

    url: str
    timeout: float = TIMEOUT_SECONDS

    def metadata(self, name: str, version: int | None = None) -> dict[str, Any]:
        """Return the V2 metadata of a model version: its tensors."""
        which = "" if version is None else f"/versions/{version}"
        return self._ask(f"/v2/models/{quote(name, safe='')}{which}")

    def labelled(self, name: str, label: str) -> int:
        """Return the version that a label points to."""
        answer = self._ask(f"/v1/models/{quote(name, safe='')}/labels/{quote(label, safe='')}")
        try:
            return int(answer["model_version_status"][0]["version"])
        except (KeyError, IndexError, TypeError, ValueError) as error:
            msg = f"{self.url} answers something else than a status; is mlapi running there?"
            raise ServerUnreachable(msg) from error

    def predict(
        self, name: str, body: dict[str, Any], version: int | None = None, label: str | None = None,
    ) -> list[Any]:
        """Return the predictions for a V1 body (`instances` or `inputs`), one an instance.

        Raises NotFound, InvalidRequest and ModelNotReady with the server's own sentence, and
        ServerUnreachable where there is no answer that can be read.
        """
        which = f"/versions/{version}" if version is not None else f"/labels/{quote(label, safe='')}" if label else ""
        answer = self._ask(f"/v1/models/{quote(name, safe='')}{which}:predict", json.dumps(body).encode())
        predictions = answer.get("predictions", answer.get("outputs"))
        if not isinstance(predictions, list):
            msg = f"{self.url} answers something else than predictions; is mlapi running there?"
            raise ServerUnreachable(msg)
        return predictions

    def post(self, path: str, body: bytes) -> dict[str, Any]:
        """Return the JSON object that a path answers to a body; raises as `predict` does."""
        return self._ask(path, body)

    def _ask(self, path: str, body: bytes | None = None) -> dict[str, Any]:
        headers = {"Content-Type": "application/json"} if body else {}
        try:
            request = urllib.request.Request(self.url.rstrip("/") + path, body, headers)  # noqa: S310 (the user's own server)
            with urllib.request.urlopen(request, timeout=self.timeout) as response:  # noqa: S310 (see above)
                answer = json.load(response)
        except urllib.error.HTTPError as error:
            raise _as_error(error.code, _sentence(error)) from error
        except (OSError, ValueError, http.client.HTTPException) as error:
            reason = " ".join(str(getattr(error, "reason", error) or type(error).__name__).split())
            msg = f"no answer from {self.url}: {reason}; is 'mlapi serve' running there? (--local asks the registry)"
            raise ServerUnreachable(msg) from error
        if not isinstance(answer, dict):
            msg = f"{self.url} answers something else than a JSON object; is mlapi running there?"
            raise ServerUnreachable(msg)
        return answer


def _sentence(error: urllib.error.HTTPError) -> str:
    try:
        return " ".join(str(json.load(error)["error"]).split())
    except (ValueError, KeyError, TypeError, OSError, http.client.HTTPException):
        return f"the server answered {error.code} {error.reason}"


def _as_error(status: int, sentence: str) -> Exception:
    if status == 404:  # noqa: PLR2004 (Not Found)
        return _AnswerNotFound(sentence)
    if status in {400, 413, 415}:
        return InvalidRequest([sentence])
    if status == 503:  # noqa: PLR2004 (Service Unavailable)
        return _NotReady(sentence)
    return ServerUnreachable(sentence)


class _NotReady(ModelNotReady):
    """What the server said of a model that it cannot serve now."""

    def __init__(self, sentence: str) -> None:
        Exception.__init__(self, sentence)
