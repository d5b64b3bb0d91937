"""The page in a real browser: it draws itself under its policy, and Execute works as the page comes."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from mlapi.registry.store import Store
from tests.server.browser import Browser, chromium, installed
from tests.server.conftest import Server

pytestmark = [
    pytest.mark.server,
    pytest.mark.skipif(not installed(), reason="chromium and chromedriver are not installed"),
]

OK = {"200", "201"}
"""201: a rollout was started."""

OF_A_ROLLOUT = "/v1/rollouts/{rollout}"
"""It has no id before it is started, so that the page cannot come with one."""

UNTIL = """
const until = async (find) => {
  const end = performance.now() + 15000;
  while (performance.now() < end) { const found = find(); if (found) return found;
                                    await new Promise(r => setTimeout(r, 20)); }
  return null;
};
"""
COUNT_TAGS = UNTIL + """
await until(() => document.querySelector(".opblock-tag-section"));
return document.querySelectorAll(".opblock-tag-section").length;
"""
TOGGLE_TAG = UNTIL + """
const tag = document.querySelectorAll(".opblock-tag-section")[TAG];
tag.querySelector(".opblock-tag").click();
await until(() => tag.querySelector(".opblock") || !tag.classList.contains("is-open"));
return tag.querySelectorAll(".opblock").length;
"""
EXECUTE = UNTIL + """
const tag = document.querySelectorAll(".opblock-tag-section")[TAG];
const block = tag.querySelectorAll(".opblock")[PLACE];
const named = [block.querySelector(".opblock-summary-method").textContent,
               block.querySelector(".opblock-summary-path").dataset.path];
block.querySelector(".opblock-summary-control").click();
await until(() => block.querySelector("button.execute") && !block.querySelector(".opblock-loading-animation"));
block.querySelector("button.execute").click();
const cell = await until(() => block.querySelector(".live-responses-table tbody .response-col_status"));
block.querySelector(".opblock-summary-control").click();
return [...named, cell ? cell.textContent.trim().slice(0, 3) : "no answer"];
"""
"""One tag and one operation are open at a time: the page draws everything again that is open."""


def execute_all(browser: Browser, url: str) -> Iterator[list[str]]:
    """Open the page and press Execute in every operation; yield method, path and status of each."""
    browser.open(url)
    for tag in range(browser.run(COUNT_TAGS)):
        for place in range(browser.run(TOGGLE_TAG.replace("TAG", str(tag)))):
            yield browser.run(EXECUTE.replace("TAG", str(tag)).replace("PLACE", str(place)))
        browser.run(TOGGLE_TAG.replace("TAG", str(tag)))


def test_every_operation_executes_as_the_page_comes(
    serve: Callable[..., Server], registry_copy: Path, tmp_path: Path,
) -> None:
    """But the verbs by label of a kind of model that has none here; unload is undone by load."""
    Store(registry_copy).label("homes", "stable", 1)
    server = serve(registry_copy, "--workers", "1", MLAPI_INVOCATIONS_MODEL="homes")
    with chromium(tmp_path) as browser:
        results = list(execute_all(browser, f"{server.url}/docs"))
        console = browser.log()
    failed = [result for result in results if result[2] not in OK and not result[1].startswith(OF_A_ROLLOUT)]
    assert failed == []
    assert len(results) >= 50
    assert [line for line in console if "Content Security Policy" in line or "SEVERE" in line] == []
