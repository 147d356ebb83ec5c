"""Pages of a connection, with cursors that survive changes of the list (pure)."""

import base64
import json
from collections.abc import Sequence

from graphql import GraphQLError

from tests.simulator.entities import Entity

LARGEST_PAGE = 250
"""Rows of a page and ids of ``nodes``, at most (platform spec 2.2)."""

Key = tuple[int, ...]
"""Where a row stands in its list: the moment it is sorted by (0 = none) and its number."""


def page(
    rows: Sequence[object],
    *,
    first: int | None = None,
    last: int | None = None,
    after: str | None = None,
    before: str | None = None,
    reverse: bool = False,
    sorted_by: str | None = None,
    whole: bool = False,
    **_: object,
) -> dict[str, object]:
    """One page of a connection; ``whole`` = all of it, as bulk operations read.

    A cursor names the place of the last row seen, so a row that changes while somebody pages through a list
    ``sorted_by`` a moment goes to its new place, and the reader goes on where it was.
    """
    if whole:
        return {"edges": [{"node": row} for row in (reversed(rows) if reverse else rows)]}
    if (first is None) == (last is None):
        raise GraphQLError("you must provide one of first or last", extensions={"code": "BAD_REQUEST"})
    size = first if first is not None else last
    assert size is not None
    if not 0 <= size <= LARGEST_PAGE:
        message = f"first or last of {size} is not between 0 and {LARGEST_PAGE}"
        raise GraphQLError(message, extensions={"code": "BAD_REQUEST"})
    ordered = list(reversed(rows)) if reverse else list(rows)
    keys = [_key(row, position, sorted_by) for position, row in enumerate(ordered)]
    start = _position(keys, after) + 1 if after else 0
    end = _position(keys, before) if before else len(ordered)
    if first is not None:
        low, high = start, min(end, start + size)
    else:
        low, high = max(start, end - size), end
    cursors = [_cursor(key) for key in keys[low:high]]
    chosen = ordered[low:high]
    return {
        "nodes": chosen,
        "edges": [{"node": node, "cursor": cursor} for node, cursor in zip(chosen, cursors, strict=True)],
        "pageInfo": {
            "hasNextPage": high < len(ordered),
            "hasPreviousPage": low > 0,
            "startCursor": cursors[0] if cursors else None,
            "endCursor": cursors[-1] if cursors else None,
        },
    }


def _key(row: object, position: int, sorted_by: str | None) -> Key:
    if not isinstance(row, Entity):
        return (position,)
    moment = getattr(row, sorted_by) if sorted_by else None
    return (int(moment.timestamp()) if moment else 0, row.legacy_resource_id)


def _cursor(key: Key) -> str:
    return base64.b64encode(json.dumps(key).encode()).decode()


def _position(keys: list[Key], cursor: str) -> int:
    try:
        wanted = tuple(json.loads(base64.b64decode(cursor, validate=True)))
    except (ValueError, TypeError):
        raise GraphQLError(f"Invalid cursor: {cursor}", extensions={"code": "BAD_REQUEST"}) from None
    if wanted in keys:
        return keys.index(wanted)
    falling = len(keys) > 1 and keys[0] > keys[-1]
    return sum(key > wanted if falling else key < wanted for key in keys) - 1
