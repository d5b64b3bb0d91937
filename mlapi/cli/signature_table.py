"""A signature, printed."""

from mlapi.cli.output import print_table, stdout
from mlapi.inference.signature import Signature, TensorSpec

SHOWN = 6
WORDS = {"refuse": "refused", "accept": "accepted"}


def print_signature(signature: Signature) -> None:
    """Print inputs and outputs with their datatypes, shapes and what values they take."""
    rows: list[list[object]] = [["in", *_row(spec)] for spec in signature.inputs]
    rows += [["out", *_row(spec)] for spec in signature.outputs]
    print_table(["", "name", "datatype", "shape", "missing", "values"], rows)
    if signature.features:
        stdout.print(f"features in order: {', '.join(signature.features)}", markup=False)


def _row(spec: TensorSpec) -> list[object]:
    return [spec.name, spec.datatype, list(spec.shape), "allowed" if spec.nullable else "", _values(spec)]


def _values(spec: TensorSpec) -> str:
    if spec.categories is not None:
        more = len(spec.categories) - SHOWN
        rest = f" and {more} more" if more > 0 else ""
        return f"{', '.join(spec.categories[:SHOWN])}{rest}; others {WORDS[spec.unseen]}"
    return "" if spec.minimum is None else f"{spec.minimum:g} to {spec.maximum:g}"
