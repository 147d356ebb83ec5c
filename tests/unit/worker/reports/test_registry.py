"""The table of reports and the catalogue name the same ones."""

from schemas.catalogue import CATALOGUE
from tests.support.fake_erp import FakeErp
from tests.support.fakes import FakeOrders
from worker.reports import registry


def test_every_report_of_the_catalogue_has_a_function_and_no_other() -> None:
    table = registry.build(lambda _: FakeOrders(), FakeErp())

    assert set(table) == {entry.name for entry in CATALOGUE}
    assert all(callable(function) for function in table.values())
