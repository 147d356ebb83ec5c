"""`backroom contract`: the contract as JSON Schemas and AsyncAPI, for services in any language."""

from pathlib import Path
from typing import Annotated

import typer

from producers.operator.cli import output
from schemas import export as published
from worker.errors import InvalidInput

_EXAMPLES = """[bold]Examples[/bold]

backroom contract export --output contract/ · write all documents into a folder

backroom contract show asyncapi.json · print one of them
"""


def register(app: typer.Typer) -> None:
    """Add `backroom contract`."""
    group = typer.Typer(
        name="contract",
        help="Export the message contract: JSON Schemas and AsyncAPI 3.",
        epilog=_EXAMPLES,
        no_args_is_help=True,
        rich_markup_mode="rich",
    )
    group.command("export")(export)
    group.command("show")(show)
    app.add_typer(group)


def export(
    folder: Annotated[
        Path | None,
        typer.Option("--output", metavar="DIR", file_okay=False, help="Default: schemas/published of this program."),
    ] = None,
) -> None:
    """Write the documents; tells which were new or differed. Other files in the folder stay."""
    # `write` also removes what is no longer published: not in a folder of the user's, which may hold other files.
    touched = published.write() if folder is None else _write(folder)
    for path in touched:
        output.tell(f"wrote {path}")
    if not touched:
        output.tell(f"the documents in {folder or published.PUBLISHED} are up to date")


def show(
    name: Annotated[str | None, typer.Argument(metavar="NAME", help="Of a document; none: list the names.")] = None,
) -> None:
    """Print one document, or the names of all."""
    documents = published.documents()
    if name is None:
        typer.echo("\n".join(documents))
    elif name in documents:
        typer.echo(documents[name], nl=False)
    else:
        raise InvalidInput("unknown_document", f"there is no document {name!r}; choose one of {', '.join(documents)}")


def _write(folder: Path) -> list[Path]:
    folder.mkdir(parents=True, exist_ok=True)
    touched = []
    for name, content in published.documents().items():
        path = folder / name
        if not path.exists() or path.read_text() != content:
            path.write_text(content)
            touched.append(path)
    return touched
