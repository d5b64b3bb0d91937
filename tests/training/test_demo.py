"""The demo: five versions of four models, good ones, published once and then left alone."""

import re
from pathlib import Path

import pytest
from click.testing import Result

from mlapi.registry.manifest import Manifest
from mlapi.registry.store import Store
from mlapi.training.demo import demo_names, publish_demo
from mlapi.training.step import Step


@pytest.fixture
def registry(demo: tuple[Path, Result]) -> Path:
    """Return the registry of the demo, to which no test adds."""
    return demo[0]


@pytest.fixture(scope="module")
def published(demo: tuple[Path, Result]) -> tuple[Manifest, ...]:
    """Return the manifests of the demo, in the order in which its versions were published."""
    registry, outcome = demo
    told = re.findall(r"^Published (\S+) (\d+) ", outcome.stdout, re.MULTILINE)
    return tuple(Store(registry).manifest(name, int(version)) for name, version in told)


def test_five_versions_of_four_models_are_published(
    registry: Path, published: tuple[Manifest, ...],
) -> None:
    assert [(m.name, m.version) for m in published] == [
        ("sqft-price", 1), ("house-prices", 1), ("house-prices", 2), ("iris", 1), ("digits", 1),
    ]  # fmt: skip
    assert Store(registry).models() == tuple(sorted(demo_names()))


def test_each_model_is_as_good_as_its_family_can_be_expected_to_be(
    published: tuple[Manifest, ...],
) -> None:
    one_input, linear, boosting, iris, digits = (manifest.metrics for manifest in published)
    assert one_input["r2"] > 0.5
    assert linear["r2"] > 0.83
    assert boosting["r2"] > linear["r2"] + 0.05
    assert boosting["mae"] < 0.8 * linear["mae"]
    assert iris["accuracy"] > 0.93
    assert digits["accuracy"] > 0.95


def test_both_house_models_take_the_same_input(published: tuple[Manifest, ...]) -> None:
    _, linear, boosting, *_ = published
    assert linear.signature == boosting.signature
    assert {spec.datatype for spec in linear.signature.inputs} == {"INT64", "FP64", "BYTES"}


def test_iris_answers_names_and_digits_answers_numbers(published: tuple[Manifest, ...]) -> None:
    *_, iris, digits = published
    assert iris.classes == ("setosa", "versicolor", "virginica")
    assert iris.signature.features[0] == "sepal_length_cm"
    assert digits.classes == tuple(range(10))
    assert len(digits.signature.features) == 64


def test_a_second_run_leaves_everything_alone_and_says_so(
    registry: Path, published: tuple[Manifest, ...],
) -> None:
    steps = list[Step]()
    assert publish_demo(registry, report=steps.append) == ()
    assert Store(registry).versions("house-prices") == (1, 2)
    assert "house-prices has versions already: left alone" in [step.text for step in steps]
    assert len(published) == 5
