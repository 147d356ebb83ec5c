"""Fetches Shopify's official Admin GraphQL schema and keeps its names and types (design D13).

Run by ``make schema`` (or ``python -m tests.support.refresh_schema``); it needs ``npm`` and the network.
Shopify publishes the schema, with its ISC licence, inside the npm package ``@shopify/dev-mcp``. We commit a
reduced copy: all types, fields, arguments and deprecations, no descriptions, so that our operations and the
simulated shop are checked offline against what Shopify really serves.
"""

import argparse
import gzip
import hashlib
import json
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import Any, cast

from graphql import DEFAULT_DEPRECATION_REASON, build_client_schema, lexicographic_sort_schema, print_schema
from graphql.utilities import IntrospectionQuery

PACKAGE = "@shopify/dev-mcp"
API_VERSION = "2026-10"
SAMPLES = Path(__file__).parents[1] / "samples" / "shopify_schema"
SCHEMA_FILE = SAMPLES / f"admin_{API_VERSION.replace('-', '_')}.graphql.gz"
SOURCE_FILE = SAMPLES / "source.json"
LICENSE_FILE = SAMPLES / "LICENSE"


class SchemaNotFound(Exception):
    """The package does not carry the Admin schema of the pinned version."""


def main(arguments: list[str] | None = None) -> int:
    """Download, reduce, write; returns 0, or 1 if npm or the package could not serve the schema."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--package-version", help="exact version of the npm package; default: the newest")
    options = parser.parse_args(arguments)
    try:
        with tempfile.TemporaryDirectory() as folder:
            source = refresh(Path(folder), options.package_version)
    except (SchemaNotFound, subprocess.CalledProcessError, FileNotFoundError) as problem:
        print(f"The schema was not refreshed: {problem}", file=sys.stderr)
        return 1
    print(json.dumps(source, indent=2))
    return 0


def refresh(folder: Path, package_version: str | None) -> dict[str, object]:
    """Write the reduced schema, its licence and its origin below ``tests/samples``; ``folder`` is scratch space."""
    packed = _npm_pack(folder, package_version)
    with tarfile.open(folder / str(packed["filename"])) as archive:
        archive.extractall(folder, filter="data")
    package = folder / "package"
    sdl = reduce_to_sdl(_introspection(package))
    SAMPLES.mkdir(parents=True, exist_ok=True)
    SCHEMA_FILE.write_bytes(gzip.compress(sdl.encode(), compresslevel=9, mtime=0))
    shutil.copyfile(package / "LICENSE", LICENSE_FILE)
    manifest = json.loads((package / "package.json").read_text())
    source: dict[str, object] = {
        "api_version": API_VERSION,
        "package": PACKAGE,
        "version": manifest["version"],
        "license": manifest["license"],
        "package_integrity": packed["integrity"],
        "schema_file": SCHEMA_FILE.name,
        "schema_sha256": hashlib.sha256(sdl.encode()).hexdigest(),
        "file_sha256": hashlib.sha256(SCHEMA_FILE.read_bytes()).hexdigest(),
        "release_candidate_in_package": _is_release_candidate(package),
    }
    SOURCE_FILE.write_text(json.dumps(source, indent=2) + "\n")
    return source


def reduce_to_sdl(introspection: dict[str, Any]) -> str:
    """The schema as sorted SDL without descriptions; deprecations stay, their reasons do not."""
    _strip(introspection)
    schema = build_client_schema(cast(IntrospectionQuery, introspection))
    return print_schema(lexicographic_sort_schema(schema)) + "\n"


def _strip(node: object) -> None:
    if isinstance(node, dict):
        if "description" in node:
            node["description"] = None
        if node.get("isDeprecated"):
            node["deprecationReason"] = DEFAULT_DEPRECATION_REASON
        for key, value in node.items():
            if key != "defaultValue":
                _strip(value)
    elif isinstance(node, list):
        for value in node:
            _strip(value)


def _npm_pack(folder: Path, package_version: str | None) -> dict[str, object]:
    wanted = f"{PACKAGE}@{package_version}" if package_version else PACKAGE
    done = subprocess.run(
        ["npm", "pack", "--json", wanted], cwd=folder, check=True, stdout=subprocess.PIPE, timeout=300
    )
    answer = json.loads(done.stdout)
    # npm 11 answers with a list, npm 12 with an object keyed by package name.
    packed = answer[0] if isinstance(answer, list) else next(iter(answer.values()))
    return cast(dict[str, object], packed)


def _introspection(package: Path) -> dict[str, Any]:
    data = package / "dist" / "data"
    wanted = data / f"admin_{API_VERSION}.json.gz"
    if not wanted.exists():
        found = sorted(path.name for path in data.glob("admin_*.json.gz"))
        raise SchemaNotFound(f"{PACKAGE} has no Admin schema {API_VERSION}; it has {', '.join(found) or 'none'}")
    with gzip.open(wanted) as stream:
        document = json.load(stream)
    return cast(dict[str, Any], document.get("data", document))


def _is_release_candidate(package: Path) -> bool:
    supported = json.loads((package / "dist" / "data" / "supported-versions-schema.json").read_text())
    versions = {entry["name"]: entry for entry in supported["admin"]}
    return bool(versions.get(API_VERSION, {}).get("releaseCandidate", False))


if __name__ == "__main__":
    sys.exit(main())
