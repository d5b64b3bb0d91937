"""What every form of input is checked for, in the same words: its names, its length, and where a value stands."""

from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from typing import Any

from mlapi.inference.arrays import Where
from mlapi.inference.faults import Faults, quoted
from mlapi.inference.signature import Signature, TensorSpec

SHOWN = 10


def check_batch(rows: list[Any], faults: Faults) -> bool:
    """Tell whether there is a row; note the fault where there is none."""
    if not rows:
        faults.add("the batch is empty; expected at least one row")
    return bool(rows)


def check_lengths(lengths: Mapping[str, int], faults: Faults) -> None:
    """Note it where columns differ in length, or have no rows."""
    sizes = set(lengths.values())
    if len(sizes) > 1:
        shown = ", ".join(f"'{name}' {size}" for name, size in list(lengths.items())[:SHOWN])
        faults.add(f"the columns differ in length: {shown}; expected one value a row in each")
    elif sizes == {0}:
        faults.add("the batch is empty; expected at least one row")


def check_names(
    given: Mapping[str, Any], names: Sequence[str], noun: str, faults: Faults, place: str = "",
) -> bool:
    """Tell whether `given` has exactly the `names`; note every unknown one, with a hint, and every missing one."""
    known = set(names)
    unknown = [name for name in given if name not in known]
    missing = [name for name in names if name not in given]

    def sentence(name: str) -> str:
        near = get_close_matches(name, missing or names, n=1) if len(name) <= len(max(names, key=len)) * 2 else []
        hint = f"did you mean '{near[0]}'?" if near else f"the {noun}s are {listed(names)}"
        return f"{place}{noun} {quoted(name)} is unknown; {hint}"

    faults.each(unknown, sentence)
    faults.each(missing, lambda name: f"{place}{noun} '{name}' is missing")
    return not (unknown or missing)


def places(spec: TensorSpec, signature: Signature) -> Where:
    """Return how messages name value i of this tensor (-1: the tensor itself)."""
    if signature.form == "columns":
        return lambda i: f"row {i}, column '{spec.name}'" if i >= 0 else f"column '{spec.name}'"
    names = signature.features or tuple(str(j) for j in range(spec.width))

    def place(i: int) -> str:
        row, column = divmod(i, spec.width)
        return f"row {row}, column '{names[column]}'" if i >= 0 else f"input '{spec.name}'"

    return place


def listed(names: Sequence[str]) -> str:
    """Return the first ten names for a message, and how many more there are."""
    shown = ", ".join(f"'{name}'" for name in names[:SHOWN])
    return shown if len(names) <= SHOWN else f"{shown} and {len(names) - SHOWN} more"
