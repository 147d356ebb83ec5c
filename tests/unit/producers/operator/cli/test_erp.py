"""What the help of `backroom erp` tells of kinds and columns."""

from producers.operator.cli.erp import describe_kinds
from worker.erp.postgres.kinds import KINDS


def test_every_kind_is_described_with_every_column() -> None:
    described = dict(block.split("[/bold cyan] · ") for block in describe_kinds(importable=False).split("\n\n")[1:])

    assert [name.removeprefix("[bold cyan]") for name in described] == list(KINDS)
    for text, kind in zip(described.values(), KINDS.values(), strict=True):
        assert all(column.name in text for column in kind.columns)


def test_keys_stand_before_the_semicolon_and_needed_columns_carry_a_star() -> None:
    text = describe_kinds(importable=True)

    assert "· item*, code*; description, blocked, sales_blocked" in text
    assert "type (inventory | service | non_inventory), base_unit*," in text


def test_kinds_that_cannot_be_imported_are_left_out_of_its_help() -> None:
    assert "sales-orders" not in describe_kinds(importable=True)
    assert "sales-orders" in describe_kinds(importable=False)
