"""What README and docs say can be typed: commands, options, make targets, links, variables, codes and the samples."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from producers.operator.cli import main as command_line
from producers.webhooks.topics import TOPICS
from schemas.catalogue import CATALOGUE
from tests.demo import story
from tests.support.services import ROOT
from worker.rules import order_refusals
from worker.settings import PREFIX, Settings

PAGES = (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))
README = PAGES[0].read_text(encoding="utf-8")
SAMPLES = ROOT / "tests" / "samples"

_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_INLINE = re.compile(r"`(backroom [^`]+)`")
_LINK = re.compile(r"\]\(([^)#:]+)\)")


def blocks(text: str, language: str) -> list[str]:
    """Fenced blocks of a language, as they stand."""
    return [body for found, body in _BLOCK.findall(text) if found == language]


def typed_lines() -> Iterator[tuple[str, list[str]]]:
    """Every line of every shell block, by its words; comments are gone and continued lines joined."""
    for page in PAGES:
        for block in blocks(page.read_text(encoding="utf-8"), "sh"):
            for line in block.replace("\\\n", " ").splitlines():
                if words := shlex.split(line, comments=True):
                    yield page.name, words


TYPED = list(typed_lines())


@pytest.fixture(scope="module")
def backroom() -> Any:
    """The real command line."""
    return typer.main.get_command(command_line.build())


def parse(command: Any, words: list[str]) -> None:
    """Parse as the program would, down to the last command, and run nothing. Exits or raises on a mistake."""
    context = command.make_context("backroom", list(words))
    while hasattr(command, "resolve_command"):
        rest = [*getattr(context, "_protected_args", []), *context.args]
        name, command, rest = command.resolve_command(context, rest)
        context = command.make_context(name, rest, parent=context)


@pytest.mark.parametrize(
    "words", [words[1:] for _, words in TYPED if words[0] == "backroom"], ids=lambda words: " ".join(words)
)
def test_a_command_in_the_pages_is_accepted_by_the_command_line(backroom: Any, words: list[str]) -> None:
    parse(backroom, words)


@pytest.mark.parametrize(
    "mistake", [["sincronise"], ["shops", "ad"], ["sync", "sync_orders"], ["status", "--everything"]], ids=" ".join
)
def test_a_command_that_does_not_exist_would_be_noticed(backroom: Any, mistake: list[str]) -> None:
    with pytest.raises(Exception, match=r"."):
        parse(backroom, mistake)


def test_commands_named_in_a_sentence_exist(backroom: Any) -> None:
    named = {name for page in PAGES for name in _INLINE.findall(page.read_text(encoding="utf-8"))}
    assert len(named) > 20

    for text in sorted(named):
        command = backroom
        for word in shlex.split(text)[1:]:
            if not hasattr(command, "commands") or word.startswith("-"):
                break
            assert word in command.commands, text
            command = command.commands[word]


def test_every_command_stands_in_the_table(backroom: Any) -> None:
    table = README.split("## Commands")[1].split("## ")[0]

    for name, command in backroom.commands.items():
        assert f"`backroom {name}" in table, name
        row = next(line for line in table.splitlines() if f"`backroom {name}" in line)
        for each in getattr(command, "commands", {}):
            assert re.search(rf"\b{each}\b", row), f"backroom {name} {each}"


def test_what_else_is_typed_exists() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))

    for page, words in TYPED:
        if words[0] == "make":
            assert set(words[1:]) <= targets, page
        else:
            assert words[0] in ("backroom", "."), (page, words)


@pytest.mark.parametrize("name", ["publish_with_pika.py", "ask_with_client.py"])
def test_a_script_in_the_readme_is_the_one_that_the_tests_run(name: str) -> None:
    assert (SAMPLES / name).read_text(encoding="utf-8") in blocks(README, "python")


def test_every_python_block_is_a_sample() -> None:
    samples = {path.read_text(encoding="utf-8") for path in SAMPLES.glob("*.py")}

    assert set(blocks(README, "python")) <= samples


def test_the_first_command_comes_early() -> None:
    assert README[: README.index("```sh")].count("\n") < 30


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for target in _LINK.findall(page.read_text(encoding="utf-8")):
        assert (page.parent / target).exists(), target


def test_every_variable_is_explained_and_none_is_invented() -> None:
    explained = set(re.findall(r"`(BACKROOM_\w+)`", (ROOT / "docs" / "settings.md").read_text()))
    used = {name for page in PAGES for name in re.findall(r"BACKROOM_\w+", page.read_text(encoding="utf-8"))}

    assert explained == {f"{PREFIX}{name.upper()}" for name in Settings.model_fields}
    assert used <= explained


def test_defaults_in_the_table_are_the_real_ones() -> None:
    table = (ROOT / "docs" / "settings.md").read_text()
    shown = dict(re.findall(r"^\| `BACKROOM_(\w+)` \| `?([^|`]+?)`? \|", table, re.MULTILINE))

    for name, field in Settings.model_fields.items():
        default = shown[name.upper()]
        if isinstance(field.default, (int, float)):
            assert float(default) == field.default, name
        elif name in ("webhooks_host", "log_level"):
            assert default == str(field.default), name
        else:
            assert default in ("–", "none", "by output"), name


def test_every_report_refusal_and_topic_is_named() -> None:
    for entry in CATALOGUE:
        assert f"{entry.number} `{entry.name.value}`" in README
    codes = {value for name, value in vars(order_refusals).items() if name.isupper() and isinstance(value, str)}
    for code in codes - {order_refusals._BY_HAND}:
        assert f"`{code}`" in README, code
    for topic in TOPICS:
        assert f"`{topic}`" in README, topic


def test_the_demo_shown_is_the_demo_of_today() -> None:
    (shown,) = [block for block in blocks(README, "text") if "Summary" in block]

    for each in story.ALL:
        assert re.search(rf"^#\d+ +{re.escape(each.what)} +{each.arrival.words} ", shown, re.MULTILINE), each.what
