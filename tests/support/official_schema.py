"""Shopify's official Admin schema (2026-10), offline, as the judge of our operations and of the simulated shop.

The file is a reduced copy made by ``tests.support.refresh_schema``; ``tests/samples/shopify_schema/source.json``
says where it comes from.
"""

import gzip
from functools import cache

from graphql import GraphQLSchema, build_schema, parse, validate
from graphql.validation import NoDeprecatedCustomRule, specified_rules

from tests.support.refresh_schema import SCHEMA_FILE


@cache
def load() -> GraphQLSchema:
    """The official schema; parsed once per process (some seconds). Do not change the returned object."""
    return build_schema(sdl(), no_location=True, assume_valid=True)


@cache
def sdl() -> str:
    """The schema definition as text."""
    return gzip.decompress(SCHEMA_FILE.read_bytes()).decode()


def validate_document(document_text: str) -> list[str]:
    """Everything the official schema objects to in one GraphQL document; empty when it is valid."""
    return [error.message for error in validate(load(), parse(document_text), specified_rules)]


def deprecated_uses(document_text: str) -> list[str]:
    """Each use of a deprecated field, argument, input field or enum value; empty when there is none.

    Values that travel in variables are not part of the document and cannot be judged here.
    """
    return [error.message for error in validate(load(), parse(document_text), [NoDeprecatedCustomRule])]
