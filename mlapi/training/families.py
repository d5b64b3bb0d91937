"""The model families in words: what each is for. Light enough to import for `--help`.

How each is built stands in `pipelines`, which needs scikit-learn.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches

from mlapi.errors import TrainingError
from mlapi.training.task import Task

AUTO = "auto"
BASELINE = "baseline"
"""Guesses the mean, or the class shares, whatever the input: what a family has to beat."""


@dataclass(frozen=True, slots=True)
class Family:
    """One kind of model: the word users type, its full title, its tasks, and when to use it.

    `row_limit` is the number of training rows above which `auto` leaves the family out, because its
    fitting time grows much faster than the table; None where it does not.
    """

    name: str
    title: str
    tasks: tuple[Task, ...]
    when: str
    row_limit: int | None = None


BOTH: tuple[Task, ...] = ("regression", "classification")

FAMILIES: tuple[Family, ...] = (
    Family(
        "linear",
        "Linear regression",
        ("regression",),
        "A number that moves in proportion to the inputs; few rows; every effect can be read off.",
    ),
    Family(
        "logistic",
        "Logistic regression",
        ("classification",),
        "Classes with a straight border between them; trustworthy probabilities; few rows do.",
    ),
    Family(
        "tree",
        "Decision tree",
        BOTH,
        "Rules that a person can follow from question to answer; rarely the most accurate.",
    ),
    Family(
        "svm",
        "Support vector machine",
        BOTH,
        "Curved relations in small and middling tables of mostly numbers; slow beyond 10,000 rows.",
        row_limit=10_000,
    ),
    Family(
        "mlp",
        "Neural network (multi-layer perceptron)",
        BOTH,
        "Many inputs of one kind, such as pixels or sensor readings, and thousands of rows.",
    ),
    Family(
        "forest",
        "Random forest",
        BOTH,
        "A strong first answer on mixed tables with no tuning; hard to overfit; large on disk.",
    ),
    Family(
        "boosting",
        "Histogram gradient boosting",
        BOTH,
        "Usually the most accurate on mixed tables of a thousand rows and more; takes gaps as is.",
    ),
)


def find(name: str) -> Family:
    """Return the family of that name. Raises TrainingError, with the nearest name, for no family."""
    for family in FAMILIES:
        if family.name == name:
            return family
    known = [family.name for family in FAMILIES]
    near = get_close_matches(name, known, n=1)
    hint = f"did you mean '{near[0]}'?" if near else f"expected auto, {', '.join(known)}"
    msg = f"'{name}' is no model family; {hint}"
    raise TrainingError(msg)


def fitting(task: Task) -> tuple[Family, ...]:
    """Return the families that can do the task, in the order of the table."""
    return tuple(family for family in FAMILIES if task in family.tasks)


def chosen(name: str, task: Task, rows: int) -> tuple[Sequence[Family], Sequence[str]]:
    """Return the families to compare, and a sentence for each one that `auto` leaves out.

    `rows` is the number of training rows. A family asked for by name is never left out.
    Raises TrainingError for an unknown family and for one that cannot do the task.
    """
    if name != AUTO:
        return (_asked(name, task),), ()
    fit = fitting(task)
    kept = tuple(family for family in fit if rows <= (family.row_limit or rows))
    skipped = tuple(
        f"{family.name} left out: its fitting time grows with the square of the rows, and {rows:,} "
        f"are more than {family.row_limit:,}; ask for it with --family {family.name}"
        for family in fit
        if family not in kept
    )
    return kept, skipped


def _asked(name: str, task: Task) -> Family:
    family = find(name)
    if task not in family.tasks:
        others = ", ".join(other.name for other in fitting(task))
        msg = (
            f"family '{name}' does {' and '.join(family.tasks)}, and this is {task}; "
            f"expected one of {others}"
        )
        raise TrainingError(
            msg,
        )
    return family
