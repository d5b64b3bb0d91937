"""From a fitted estimator to the two files of its plan, or to the reason why it has none."""

import platform
from dataclasses import dataclass
from importlib import metadata
from typing import Any

from mlapi.errors import MlapiError
from mlapi.inference.signature import Signature
from mlapi.inference.values import Array
from mlapi.runtimes.compilers.estimators import compiled
from mlapi.runtimes.compilers.shape import NoPlan, Shape
from mlapi.runtimes.plans import document
from mlapi.runtimes.plans.document import PlanError
from mlapi.runtimes.plans.plan import PlanRunner
from mlapi.runtimes.plans.proof import NotEqual, prove
from mlapi.runtimes.predictor import Feed, Predictor

LONGEST_REASON = 300
LIBRARIES = ("scikit-learn", "numpy", "xgboost", "lightgbm")


@dataclass(frozen=True, slots=True)
class Outcome:
    """The files of a plan by name, and why there is none where there is none."""

    files: tuple[tuple[str, bytes], ...]
    reason: str = ""


def compile_plan(
    native: Predictor, inputs: dict[str, Array], signature: Signature, feed: Feed, model_sha256: str,
) -> Outcome:
    """Return the plan of the estimator behind `native`, proven on `inputs` and their boundary rows.

    What is stored is read back before it is proven. Never raises: an estimator without a plan is served
    as it is, and `plan.json` says why.
    """
    bound = document.binding(model_sha256, signature, feed)
    try:
        plan = compiled(native.model, Shape.of(signature, feed))
        draft = document.Proof(0, 0.0, exact=False, row_independent=False)
        written, _ = document.loads(*document.dumps(plan, draft, bound), bound)
        proof = prove(PlanRunner(written, signature), native, inputs, signature, _libraries(native.model))
        told, arrays = document.dumps(plan, proof, bound)
        return Outcome(((document.FILE, told), (document.ARRAYS, arrays)))
    except (NoPlan, PlanError, MlapiError) as error:
        reason = str(error)
    except NotEqual as error:
        reason = f"it was compiled, but does not answer as the estimator does: {error}"
    except Exception as error:  # noqa: BLE001 (a foreign estimator may have any attribute missing, or of any kind)
        reason = f"the estimator is none that can be read ({type(error).__name__}: {error})"
    reason = " ".join(reason.split())[:LONGEST_REASON]
    return Outcome(((document.FILE, document.refusal(reason, bound)),), reason)


def _libraries(model: Any) -> dict[str, str]:  # noqa: ANN401 (any estimator)
    used = {"python": platform.python_version()}
    modules = f"{type(model).__module__} {model!r}".lower()
    for name in LIBRARIES:
        if name in {"scikit-learn", "numpy"} or name[:3] in modules:
            try:
                used[name] = metadata.version(name)
            except metadata.PackageNotFoundError:
                continue
    return used
