"""Items of the embedded ERP: found by number or barcode."""

from collections.abc import Sequence

from psycopg import Connection
from psycopg.rows import DictRow

from worker.database.queries import load
from worker.erp.postgres.checks import searchable
from worker.model.ids import ErpId
from worker.model.item import ItemKey, ItemMatch, ItemMatches, ItemQuery


def find(connection: Connection[DictRow], queries: Sequence[ItemQuery]) -> tuple[ItemMatches, ...]:
    """One answer per query, in order; one round trip.

    Numbers and variant codes compare in upper case, as they are stored; barcodes as they are.
    """
    arguments = {
        "kinds": [query.key.value for query in queries],
        "values": [_value(query) for query in queries],
        "variants": [searchable(query.variant_code).upper() for query in queries],
    }
    answers: list[list[ItemMatch]] = [[] for _ in queries]
    for row in connection.execute(load("erp")["find_items"], arguments):
        answers[row["position"] - 1].append(
            ItemMatch(
                item=ErpId(str(row["id"])),
                number=row["number"],
                variant_code=row["variant"],
                unit_of_measure=row["unit"],
                description=row["description"],
                blocked=row["blocked"],
                tax_product_group=row["tax_product_group"],
            )
        )
    return tuple(ItemMatches(query, tuple(found)) for query, found in zip(queries, answers, strict=True))


def _value(query: ItemQuery) -> str:
    value = searchable(query.value)
    return value.upper() if query.key is ItemKey.NUMBER else value
