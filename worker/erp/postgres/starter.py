"""A small ready-made company for first steps: an Italian trader in EUR with VAT 22, 10 and 0 %.

Its data are the files of `starter_data/`, one per kind, in the format of `backroom erp import`. Items and
customers come by import.
"""

from collections.abc import Mapping
from pathlib import Path

from worker.database.pool import Database
from worker.erp.postgres.data import ImportResult, Mode, Options, import_file, import_rows, kind_named
from worker.erp.postgres.kinds import KINDS
from worker.errors import Bug

FOLDER = Path(__file__).parent / "starter_data"

USER_ASSIGNED_COUNTRIES = {"AC": "Ascension Island", "TA": "Tristan da Cunha", "XK": "Kosovo"}
"""Codes that Shopify uses in addresses and ISO 3166 does not assign."""


def install(database: Database) -> Mapping[str, ImportResult]:
    """Install what is missing, kind by kind; what exists stays as it is, whoever changed it. Safe to repeat.

    Raises:
        Unreachable, RetryLater("erp_busy")
    """
    keep = Options(mode=Mode.KEEP)
    results: dict[str, ImportResult] = {}
    for kind in KINDS.values():
        file = FOLDER / f"{kind.name}.csv"
        if kind.name == "countries":
            results[kind.name] = import_rows(database, kind_named(kind.name), countries(), options=keep)
        elif file.exists():
            results[kind.name] = import_file(database, kind.name, file, options=keep)
        else:
            continue
        if results[kind.name].failed:
            raise Bug("starter_broken", f"the starter data of kind {kind.name} were refused")
    return results


def countries() -> list[dict[str, str]]:
    """All countries of ISO 3166 and those that only Shopify knows, by code."""
    import pycountry  # here: it reads megabytes of names that nothing else needs

    names = {country.alpha_2: getattr(country, "common_name", country.name) for country in pycountry.countries}
    return [{"code": code, "name": name} for code, name in sorted((names | USER_ASSIGNED_COUNTRIES).items())]
