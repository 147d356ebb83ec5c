"""`backroom shops`: the shops, their settings and their credentials."""

import dataclasses
import os
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated, Any

import typer
from psycopg import Connection
from psycopg.rows import DictRow

from producers.operator import actions
from producers.operator.cli import output
from producers.operator.cli.assignments import parse_plain
from producers.operator.cli.context import Context, opened
from schemas.shop_settings import ShopSettings
from worker.database import audit, schedules, shops
from worker.database.audit import AuditEntry
from worker.database.secrets import SecretBox
from worker.database.shops import ShopCard
from worker.errors import InvalidInput

_EXAMPLES = """[bold]Examples[/bold]

backroom shops add my-shop --domain my-shop.myshopify.com --access-token-file token.txt --webhook-secret-file secret.txt

backroom shops set my-shop auto_create_orders=true shipping_charges_account=4100 · change settings

pass show shopify/token | backroom shops set my-shop --access-token-file - · a new token, from a pipe

backroom shops test my-shop · does the connection work, is a permission missing?

backroom shops settings · every setting with its values, default and meaning

A secret given as an argument can be read by every user of this machine in the list of processes, and stays \
in the shell's history: give a file, - for standard input, or the name of an environment variable.
"""

DEFAULT_SECRET_ID = "main"  # noqa: S105 - the name of a secret, not a secret
_WITH_ID = re.compile(r"([A-Za-z0-9._-]{1,40})=([^=].*)", re.DOTALL)
_HOW_TO_SEE_SETTINGS = "`backroom shops settings` tells what each means"

_LIST = (
    output.Column("code", "SHOP"),
    output.Column("domain", "DOMAIN"),
    output.Column("enabled", "ENABLED"),
    output.Column("connected", "ACCESS TOKEN"),
    output.Column("webhook_secret_ids", "WEBHOOK SECRETS"),
    output.Column("api_url", "API"),
    output.Column("updated_at", "CHANGED"),
)
_SETTINGS = (
    output.Column("name", "SETTING"),
    output.Column("value", "VALUE"),
    output.Column("default", "DEFAULT"),
    output.Column("changed_by", "CHANGED BY"),
    output.Column("changed_at", "CHANGED"),
)
_MEANINGS = (
    output.Column("name", "SETTING"),
    output.Column("values", "VALUES"),
    output.Column("default", "DEFAULT"),
    output.Column("meaning", "MEANING"),
)
_HISTORY = (
    output.Column("at", "AT"),
    output.Column("who", "WHO"),
    output.Column("action", "ACTION"),
    output.Column("what", "WHAT"),
)
_TEST = (output.Column("level", ""), output.Column("text", "FINDING"))
_CHANGES_SHOWN = 10

CodeArgument = Annotated[str, typer.Argument(metavar="CODE", help="The shop's code.")]
DomainOption = Annotated[str | None, typer.Option("--domain", help="The store's own domain: NAME.myshopify.com.")]
ApiUrlOption = Annotated[
    str | None, typer.Option("--api-url", help="Where the Admin API is reached. Default: https://DOMAIN.")
]
TokenOption = Annotated[
    str | None,
    typer.Option("--access-token", metavar="TOKEN", help="The Admin API's token; visible to others, see below."),
]
TokenFileOption = Annotated[
    str | None, typer.Option("--access-token-file", metavar="FILE", help="A file that holds it; - is standard input.")
]
TokenVariableOption = Annotated[
    str | None, typer.Option("--access-token-env", metavar="VARIABLE", help="An environment variable that holds it.")
]
SecretOption = Annotated[
    list[str] | None,
    typer.Option(
        "--webhook-secret",
        metavar="[ID=]SECRET",
        help="A secret that signs webhooks; visible to others, see below. Several are accepted while they are "
        f"changed: the id tells them apart (default: {DEFAULT_SECRET_ID}). Repeatable.",
    ),
]
SecretFileOption = Annotated[
    list[str] | None,
    typer.Option("--webhook-secret-file", metavar="[ID=]FILE", help="A file that holds it; - is standard input."),
]
SecretVariableOption = Annotated[
    list[str] | None,
    typer.Option("--webhook-secret-env", metavar="[ID=]VARIABLE", help="An environment variable that holds it."),
]


@dataclasses.dataclass(frozen=True, slots=True)
class Credentials:
    """What the command line gave of a shop's secrets, already read."""

    access_token: str | None = dataclasses.field(repr=False)
    """None: as it is."""
    webhook_secrets: Mapping[str, str] = dataclasses.field(repr=False)
    """By id."""

    @property
    def given(self) -> bool:
        """There is something to store."""
        return self.access_token is not None or bool(self.webhook_secrets)


def register(app: typer.Typer) -> None:
    """Add `backroom shops`."""
    group = typer.Typer(
        name="shops",
        help="Add shops, change their settings and credentials, test the connection.",
        epilog=_EXAMPLES,
        no_args_is_help=True,
        rich_markup_mode="rich",
    )
    group.command("add", epilog=_EXAMPLES)(add)
    group.command("set", epilog=_EXAMPLES)(set_shop)
    group.command("show")(show)
    group.command("list")(list_shops)
    group.command("settings")(settings)
    group.command("enable")(enable)
    group.command("disable")(disable)
    group.command("resume")(resume)
    group.command("test")(try_connection)
    app.add_typer(group)


def add(
    code: CodeArgument,
    domain: Annotated[str, typer.Option("--domain", help="The store's own domain: NAME.myshopify.com.")],
    api_url: ApiUrlOption = None,
    assignments: Annotated[
        list[str] | None, typer.Option("--set", metavar="NAME=VALUE", help="A setting. Repeatable.")
    ] = None,
    access_token: TokenOption = None,
    access_token_file: TokenFileOption = None,
    access_token_env: TokenVariableOption = None,
    webhook_secret: SecretOption = None,
    webhook_secret_file: SecretFileOption = None,
    webhook_secret_env: SecretVariableOption = None,
) -> None:
    """Add a shop, with credentials or without."""
    chosen = parse_settings(assignments or ())
    credentials = read_credentials(
        access_token,
        access_token_file,
        access_token_env,
        webhook_secret,
        webhook_secret_file,
        webhook_secret_env,
    )
    with opened() as context, context.database.transaction() as connection:
        shops.add(connection, code, domain, api_url=api_url, settings=chosen, who=context.who)
        _store(connection, context, code, credentials)
        card = shops.show(connection, code)
    output.tell(f"shop {code} is added; {_what_is_missing(card) or f'`backroom shops test {code}` tries it'}")


def set_shop(
    code: CodeArgument,
    assignments: Annotated[
        list[str] | None, typer.Argument(metavar="NAME=VALUE", help="Settings; an empty value is none.")
    ] = None,
    domain: DomainOption = None,
    api_url: ApiUrlOption = None,
    access_token: TokenOption = None,
    access_token_file: TokenFileOption = None,
    access_token_env: TokenVariableOption = None,
    disconnect: Annotated[bool, typer.Option("--disconnect", help="Forget the access token.")] = False,
    webhook_secret: SecretOption = None,
    webhook_secret_file: SecretFileOption = None,
    webhook_secret_env: SecretVariableOption = None,
    remove_webhook_secret: Annotated[
        list[str] | None,
        typer.Option("--remove-webhook-secret", metavar="ID", help="Refuse what it signs from now on. Repeatable."),
    ] = None,
) -> None:
    """Change a shop's settings, addresses or credentials: all that is given, or nothing."""
    chosen = parse_settings(assignments or ())
    credentials = read_credentials(
        access_token,
        access_token_file,
        access_token_env,
        webhook_secret,
        webhook_secret_file,
        webhook_secret_env,
    )
    if disconnect and credentials.access_token is not None:
        raise InvalidInput("contradiction", "--disconnect and a new access token: give one of them")
    if not (chosen or domain or api_url or credentials.given or disconnect or remove_webhook_secret):
        raise InvalidInput("nothing_to_change", f"nothing to change was given; {_HOW_TO_SEE_SETTINGS}")
    with opened() as context, context.database.transaction() as connection:
        before = shops.show(connection, code)
        shops.change(connection, code, chosen, domain=domain, api_url=api_url, who=context.who)
        if disconnect:
            shops.set_access_token(connection, _box(context), code, None, who=context.who)
        for secret_id in remove_webhook_secret or ():
            shops.remove_webhook_secret(connection, code, secret_id, who=context.who)
        _store(connection, context, code, credentials)
        changed = shops.show(connection, code) != before or credentials.given
    output.tell(f"shop {code} is changed" if changed else f"shop {code} was like this already")


def show(code: CodeArgument, as_json: output.JsonOption = False) -> None:
    """Show a shop: settings with defaults, who changed what last. Secrets are never shown."""
    with opened() as context, context.database.transaction() as connection:
        card = shops.show(connection, code)
        history = audit.history(connection, f"shop/{code}")
    listed = settings_with_history(card.shop.settings, history)
    if as_json:
        output.print_json(_row(card) | {"settings": listed, "history": history})
        return
    output.print_detail(_row(card), as_json=False)
    output.print_title("Settings")
    output.print_listing(listed, _SETTINGS, as_json=False)
    output.print_title("Latest changes")
    output.print_listing([_change(entry) for entry in history[:_CHANGES_SHOWN]], _HISTORY, as_json=False, empty="none")


def list_shops(as_json: output.JsonOption = False) -> None:
    """List all shops."""
    with opened() as context, context.database.transaction() as connection:
        cards = shops.list_all(connection)
    output.print_listing(
        [_row(card) for card in cards], _LIST, as_json=as_json, empty="no shops yet; add one with `backroom shops add`"
    )


def settings(as_json: output.JsonOption = False) -> None:
    """Explain every setting: values, default and meaning."""
    output.print_listing(describe_settings(), _MEANINGS, as_json=as_json)


def enable(code: CodeArgument) -> None:
    """Let a shop's jobs run again."""
    with opened() as context, context.database.transaction() as connection:
        shops.enable(connection, code, who=context.who)
    output.tell(f"shop {code} is enabled")


def disable(code: CodeArgument) -> None:
    """Stop serving a shop: its webhooks are answered and forgotten, its jobs wait."""
    with opened() as context, context.database.transaction() as connection:
        shops.disable(connection, code, who=context.who)
    output.tell(f"shop {code} is disabled; `backroom shops enable {code}` lets it go on")


def resume(code: CodeArgument) -> None:
    """Let a shop's lanes go on that trouble of the world stopped, without waiting for the next try."""
    with opened() as context:
        with context.database.transaction() as connection:
            shops.find_by_code(connection, code)
        causes = actions.resume(context.database, "shop", code, context.who)
    output.tell(
        f"shop {code} goes on; it was stopped by {', '.join(causes)}" if causes else f"nothing stops shop {code}"
    )


def try_connection(code: CodeArgument, as_json: output.JsonOption = False) -> None:
    """Try the connection: token, permissions of each report, API version.

    Exit code 0 when all works, 1 when something stands in the way, 3 when the shop does not answer.
    """
    from worker import main as workshop  # here: the client of the shops takes a third of a second to load
    from worker.shopify.connection import test_connection

    with opened() as context, ExitStack() as stack:
        with context.database.transaction() as connection:
            shop = shops.find_by_code(connection, code)
            now = schedules.moment(connection)
        client = workshop.shop_client(context.settings, context.database, stack)
        report = test_connection(client.for_shop(shop, high_priority=True), now)
    if as_json:
        output.print_json(dataclasses.asdict(report) | {"works": report.works})
    else:
        output.print_listing([dataclasses.asdict(finding) for finding in report.findings], _TEST, as_json=False)
    if not report.answered:
        output.tell(f"is {shop.api_url} right, and can this machine reach it?")
    if not report.works:
        raise typer.Exit(1 if report.answered else 3)


def parse_settings(assignments: Sequence[str]) -> dict[str, str]:
    """`name=value` as settings; types are read by the settings' own model.

    Raises:
        InvalidInput: no `=`, or no such setting: the message lists all with types and defaults.
    """
    chosen = parse_plain(assignments)
    unknown = [name for name in chosen if name not in ShopSettings.model_fields]
    if unknown:
        known = "\n".join(f"  {row['name']} ({row['values']}; default {row['default']})" for row in describe_settings())
        raise InvalidInput("unknown_setting", f"no setting is called {', '.join(unknown)}. Settings:\n{known}")
    return chosen


def describe_settings() -> list[dict[str, object]]:
    """Every setting with its values, default and meaning."""
    schema = ShopSettings.model_json_schema()
    rows: list[dict[str, object]] = []
    for name, field in ShopSettings.model_fields.items():
        definition = schema["properties"][name]
        if "$ref" in definition:
            definition = schema["$defs"][definition["$ref"].rpartition("/")[2]] | definition
        rows.append(
            {
                "name": name,
                "values": _values(definition),
                "default": _as_given(field.default),
                "meaning": " ".join((field.description or str(definition.get("description", ""))).split()),
            }
        )
    return rows


def settings_with_history(current: ShopSettings, history: Iterable[AuditEntry]) -> list[dict[str, object]]:
    """Each setting with its value, its default, and who changed it last; `history` is newest first."""
    changed: dict[str, AuditEntry] = {}
    for entry in history:
        for name in entry.change:
            changed.setdefault(name, entry)
    rows: list[dict[str, object]] = []
    for name, field in ShopSettings.model_fields.items():
        last = changed.get(name)
        rows.append(
            {
                "name": name,
                "value": getattr(current, name),
                "default": field.default,
                "changed_by": None if last is None else last.who,
                "changed_at": None if last is None else last.at,
            }
        )
    return rows


def read_credentials(
    token: str | None,
    token_file: str | None,
    token_variable: str | None,
    secrets: Sequence[str] | None,
    secret_files: Sequence[str] | None,
    secret_variables: Sequence[str] | None,
    environ: Mapping[str, str] = os.environ,
) -> Credentials:
    """Read what the options name.

    Raises:
        InvalidInput: two tokens, the same id twice, a file that cannot be read, a variable that is not set.
    """
    tokens = [
        *([] if token is None else [token]),
        *([] if token_file is None else [_from_file(token_file)]),
        *([] if token_variable is None else [_from_variable(token_variable, environ)]),
    ]
    if len(tokens) > 1:
        raise InvalidInput("token_given_twice", "the access token is given twice; give it in one way")
    by_id: dict[str, str] = {}
    for given, read in (
        (secrets, lambda value: value),
        (secret_files, _from_file),
        (secret_variables, lambda name: _from_variable(name, environ)),
    ):
        for text in given or ():
            secret_id, value = split_id(text)
            if secret_id in by_id:
                raise InvalidInput(
                    "secret_given_twice", f"webhook secret {secret_id!r} is given twice; tell them apart: ID=…"
                )
            by_id[secret_id] = read(value)
    return Credentials(tokens[0] if tokens else None, by_id)


def split_id(text: str) -> tuple[str, str]:
    """`ID=value` as both; without an id it is the default one. A secret may itself end in `=`."""
    match = _WITH_ID.fullmatch(text)
    return (DEFAULT_SECRET_ID, text) if match is None else (match[1], match[2])


def _from_file(name: str) -> str:
    if name == "-":
        return sys.stdin.read().strip()
    try:
        return Path(name).read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInput("unreadable_file", f"{name}: {error}") from error


def _from_variable(name: str, environ: Mapping[str, str]) -> str:
    if not environ.get(name):
        raise InvalidInput("variable_missing", f"the environment variable {name} is not set")
    return environ[name].strip()


def _store(connection: Connection[DictRow], context: Context, code: str, credentials: Credentials) -> None:
    if not credentials.given:
        return
    box = _box(context)
    if credentials.access_token is not None:
        shops.set_access_token(connection, box, code, credentials.access_token, who=context.who)
    for secret_id, secret in credentials.webhook_secrets.items():
        shops.add_webhook_secret(connection, box, code, secret_id, secret, who=context.who)


def _box(context: Context) -> SecretBox:
    return SecretBox([key.get_secret_value() for key in context.settings.secret_key])


def _row(card: ShopCard) -> dict[str, object]:
    return {
        "code": card.shop.code,
        "domain": card.shop.domain,
        "api_url": card.shop.api_url,
        "enabled": card.shop.enabled,
        "connected": card.connected,
        "webhook_secret_ids": card.webhook_secret_ids,
        "version": card.version,
        "created_at": card.created_at,
        "updated_at": card.updated_at,
    }


def _change(entry: AuditEntry) -> dict[str, object]:
    return {"at": entry.at, "who": entry.who, "action": entry.action, "what": _in_words(entry.change)}


def _in_words(change: Mapping[str, Any]) -> str:
    parts = []
    for name, value in change.items():
        if isinstance(value, dict) and set(value) == {"old", "new"}:
            parts.append(f"{name}: {_as_given(value['old'])} → {_as_given(value['new'])}")
        else:
            parts.append(f"{name}: {_as_given(value)}")
    return "; ".join(parts)


def _values(definition: Mapping[str, Any]) -> str:
    if "enum" in definition:
        return " | ".join(definition["enum"])
    if definition.get("type") == "boolean":
        return "true | false"
    if "maxLength" in definition:
        return f"text of at most {definition['maxLength']}"
    return str(definition.get("type", "text")).replace("string", "text")


def _as_given(value: object) -> str:
    """The value as `--set` takes it."""
    match value:
        case "":
            return "empty"
        case bool():
            return "true" if value else "false"
        case _:
            return output.as_text(value)


def _what_is_missing(card: ShopCard) -> str:
    missing = [] if card.connected else ["access token (--access-token-file)"]
    missing += [] if card.webhook_secret_ids else ["webhook secret (--webhook-secret-file)"]
    return f"it has no {' and no '.join(missing)} yet: `backroom shops set {card.shop.code}`" if missing else ""
