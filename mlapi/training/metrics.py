"""The metrics in words: name, task, direction, how to read it. Light enough for `--help`.

How each is computed stands in `evaluation`.
"""

from dataclasses import dataclass
from typing import Literal

from mlapi.errors import TrainingError
from mlapi.training.task import Task

Better = Literal["higher", "lower"]
UP: Better = "higher"
DOWN: Better = "lower"


@dataclass(frozen=True, slots=True)
class Metric:
    """One figure: the word users type, its title, its task, how to read it, which way is better."""

    name: str
    title: str
    task: Task
    reading: str
    better: Better

    @property
    def sign(self) -> int:
        """1 where higher is better, -1 where lower is."""
        return 1 if self.better == UP else -1


METRICS: tuple[Metric, ...] = (
    Metric("r2", "R2", "regression", "share of the spread explained; 1 perfect, 0 no use", UP),
    Metric("mae", "MAE", "regression", "typical miss, in the unit of the target", DOWN),
    Metric("rmse", "RMSE", "regression", "like MAE, but large misses weigh more", DOWN),
    Metric("mape", "MAPE", "regression", "typical miss as a share of the truth; 0.1 is 10 %", DOWN),
    Metric("accuracy", "Accuracy", "classification", "share of rows with the right class", UP),
    Metric(
        "precision_macro",
        "Precision (macro)",
        "classification",
        "of the rows called a class, the share that is; mean over classes",
        UP,
    ),
    Metric(
        "recall_macro",
        "Recall (macro)",
        "classification",
        "of the rows of a class, the share that was found; mean over classes",
        UP,
    ),
    Metric(
        "f1_macro",
        "F1 (macro)",
        "classification",
        "balance of precision and recall; every class weighs the same",
        UP,
    ),
    Metric(
        "roc_auc",
        "ROC AUC",
        "classification",
        "chance that a right class is ranked above a wrong one; 0.5 is guessing",
        UP,
    ),
    Metric(
        "log_loss",
        "Log loss",
        "classification",
        "how far the probabilities are from the truth; 0 perfect",
        DOWN,
    ),
)

DEFAULTS: dict[Task, str] = {"regression": "r2", "classification": "f1_macro"}
"""R2 compares across targets of any unit. Macro F1 does not reward a model that, as accuracy does,
scores by never naming a rare class."""


def primary(name: str | None, task: Task) -> Metric:
    """Return the metric that ranks the families: the one named, or the default of the task.

    Raises TrainingError for a name that is no metric of this task.
    """
    wanted = name or DEFAULTS[task]
    fit = tuple(metric for metric in METRICS if metric.task == task)
    for metric in fit:
        if metric.name == wanted:
            return metric
    names = ", ".join(metric.name for metric in fit)
    msg = f"'{wanted}' is no metric for {task}; expected one of {names}"
    raise TrainingError(msg)
