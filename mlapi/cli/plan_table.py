"""The plan of a version on the screen: its steps, its proof, and native against compiled by batch size."""

from dataclasses import asdict
from typing import Any

from mlapi.cli.output import print_table
from mlapi.errors import VersionRefused
from mlapi.registry import loading
from mlapi.registry.manifest import Manifest
from mlapi.registry.store import Store
from mlapi.runtimes.plans import document
from mlapi.runtimes.plans.document import PlanError
from mlapi.runtimes.plans.pace import SIZES

NONE = "none: published without one"


def plan_of(store: Store, manifest: Manifest) -> dict[str, Any]:
    """Return what a version's plan is, as JSON has it; `reason` says why there is none, or why it is not used here.

    `here_ns` are the times of what answers, measured now, by batch size.
    """
    try:
        entry = manifest.file(document.FILE)
        described = document.describe(loading.verified(store, manifest, entry.name))
    except KeyError:
        return {"used": False, "reason": NONE}
    except (PlanError, VersionRefused) as error:
        return {"used": False, "reason": str(error)}
    if described.proof is None:
        return {"used": False, "reason": described.reason}
    told = {"steps": list(described.kinds), "proof": asdict(described.proof)}
    try:
        loaded = loading.load(store, manifest.name, manifest.version)
        if loaded.planned is None:
            return {"used": False, "reason": "it cannot be used here", **told}
        loaded.planned.calibrate(loaded.reference.inputs, manifest.signature.output_names[:1])
    except VersionRefused as error:
        return {"used": False, "reason": error.reason, **told}
    here = {str(size): ns for size, ns in loaded.planned.times.items()}
    return {"used": True, "reason": "", **told, "here_ns": here, "answers": loaded.planned.choice}


def print_plan(plan: dict[str, Any]) -> None:
    """Print what `plan_of` tells."""
    if "proof" not in plan:
        print_table(["", ""], [["plan", f"none: {plan['reason']}" if plan["reason"] != NONE else NONE]])
        return
    proof = plan["proof"]
    same = "to the last bit" if proof["exact"] else f"largest relative difference {proof['largest_difference']:.1e}"
    facts = {
        "plan": " > ".join(plan["steps"]),
        "not used": plan["reason"],
        "proof": f"{proof['rows']} reference and boundary rows, the estimator's answers {same}",
        "in batches": "every row's answer has the same bits in any batch" if proof["row_independent"]
                      else "the last bits of a row's answer depend on its batch",
        "proven with": ", ".join(f"{name} {version}" for name, version in proof["libraries"].items()),
    }  # fmt: skip
    print_table(["", ""], [[key, value] for key, value in facts.items() if value])
    print_table(
        ["rows", "native, at publish", "compiled, at publish", "here, measured now"],
        [[size, _time(proof["native_ns"], size), _time(proof["plan_ns"], size), _here(plan, size)] for size in SIZES],
    )


def _here(plan: dict[str, Any], size: int) -> str:
    took = _time(plan.get("here_ns", {}), size)
    return f"{took} {plan['answers'][str(size)]}" if took else ""


def _time(times: dict[str, int], size: int) -> str:
    return f"{times[str(size)] / 1000:,.0f} us" if str(size) in times else ""
