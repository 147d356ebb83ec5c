"""A private RabbitMQ: a node with a name, a cookie, a port mapper and ports of its own, on loopback only."""

import os
import secrets
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pika
from pika.exceptions import AMQPError

from producers.operator.services import ports, process, waiting
from producers.operator.services.binaries import RabbitmqBinaries
from producers.operator.services.errors import ServicesError
from producers.operator.services.state import USER, VIRTUAL_HOST, RabbitmqState
from producers.operator.services.waiting import Report

_START_SECONDS = 120
_STOP_SECONDS = 60
_EPMD_SECONDS = 10

# The defaults of an empty node: our user and virtual host are made before the first listener opens,
# and the well-known user "guest" is never made at all.
_CONFIGURATION = """\
listeners.tcp.1 = {loopback}:{port}
default_user = {user}
default_pass = {password}
default_user_tags.administrator = true
default_vhost = {virtual_host}
default_permissions.configure = .*
default_permissions.read = .*
default_permissions.write = .*
management.tcp.ip = {loopback}
management.tcp.port = {management_port}
log.file = false
log.console = true
log.console.use_colors = off
"""


def plan(directory: Path, port: int, distribution_port: int, epmd_port: int, management_port: int) -> RabbitmqState:
    """A node that does not exist yet."""
    return RabbitmqState(
        port=port,
        distribution_port=distribution_port,
        epmd_port=epmd_port,
        management_port=management_port,
        node=f"backroom-{secrets.token_hex(4)}@localhost",
        password=secrets.token_hex(16),
        cookie=secrets.token_hex(20),
        directory=directory,
        version="",
    )


def is_running(state: RabbitmqState) -> bool:
    """Whether our own node's process lives; says nothing of whether it answers."""
    return process.is_alive(state.server)


def answers(state: RabbitmqState) -> str | None:
    """The version of the broker that accepts our password, or None if none does at this moment."""
    if not ports.accepts_connections(state.port):
        return None
    parameters = pika.URLParameters(state.url)
    parameters.socket_timeout = 5
    parameters.blocked_connection_timeout = 5
    try:
        connection = pika.BlockingConnection(parameters)
    except (AMQPError, OSError):
        return None
    try:
        # pika keeps what the broker said of itself only on the connection it wraps.
        properties: dict[str, object] = connection._impl.server_properties or {}  # type: ignore[attr-defined]
        return str(properties.get("version", ""))
    finally:
        connection.close()


def start(
    state: RabbitmqState,
    binaries: RabbitmqBinaries,
    record: Callable[[RabbitmqState], None],
    report: Report,
) -> None:
    """Start the port mapper and the node unless they run, and wait until the node accepts our password.

    ``record`` is told of every process as soon as it exists, so that an interrupted start leaves none
    that nobody knows. Raises PortTaken, or ServicesError; the processes are stopped then.
    """
    log = state.directory / "server.log"
    try:
        if not is_running(state):
            _write_settings(state)
            state = replace(state, epmd=_launch_epmd(state, binaries))
            record(state)
            _await_epmd(state)
            state = replace(state, server=_launch_node(state, binaries, log))
            record(state)
        waiting.until_ready(
            "RabbitMQ",
            ready=lambda: answers(state) is not None,
            alive=lambda: is_running(state),
            log=log,
            deadline_seconds=_START_SECONDS,
            report=report,
        )
    except ServicesError:
        record(stop(state))
        raise
    record(replace(state, version=answers(state) or state.version))


def stop(state: RabbitmqState) -> RabbitmqState:
    """Stop the node, which closes its connections and leaves the data clean, then its port mapper."""
    process.stop(state.server, grace_seconds=_STOP_SECONDS)
    process.stop(state.epmd, grace_seconds=_EPMD_SECONDS)
    return replace(state, server=None, epmd=None)


def delete(state: RabbitmqState) -> None:
    """Remove the stopped node and all its data."""
    shutil.rmtree(state.directory, ignore_errors=True)


def _launch_epmd(state: RabbitmqState, binaries: RabbitmqBinaries) -> process.Identity | None:
    """Start the port mapper ourselves: the node would start one too, but nobody would know its pid."""
    log = _epmd_log(state)
    log.unlink(missing_ok=True)
    return process.start_detached(
        [str(binaries.epmd), "-port", str(state.epmd_port), "-address", ports.LOOPBACK],
        environment=environment(state),
        directory=state.directory,
        log=log,
    )


def _await_epmd(state: RabbitmqState) -> None:
    waiting.until_ready(
        "Erlang's port mapper",
        ready=lambda: ports.accepts_connections(state.epmd_port),
        alive=lambda: process.is_alive(state.epmd),
        log=_epmd_log(state),
        deadline_seconds=_EPMD_SECONDS,
        report=lambda _: None,
    )


def _epmd_log(state: RabbitmqState) -> Path:
    return state.directory / "epmd.log"


def _launch_node(state: RabbitmqState, binaries: RabbitmqBinaries, log: Path) -> process.Identity | None:
    log.unlink(missing_ok=True)
    return process.start_detached(
        [str(binaries.scripts / "rabbitmq-server")],
        environment=environment(state),
        directory=state.directory,
        log=log,
    )


def _write_settings(state: RabbitmqState) -> None:
    home = state.directory / "home"
    home.mkdir(parents=True, exist_ok=True)
    state.directory.chmod(0o700)
    cookie = home / ".erlang.cookie"
    if not cookie.exists():
        cookie.touch(mode=0o600)
        cookie.write_text(state.cookie)
    cookie.chmod(0o400)  # Erlang refuses a cookie that others could read
    (state.directory / "enabled_plugins").write_text("[rabbitmq_management].\n")
    (state.directory / "rabbitmq.conf").write_text(
        _CONFIGURATION.format(
            loopback=ports.LOOPBACK,
            port=state.port,
            management_port=state.management_port,
            user=USER,
            password=state.password,
            virtual_host=VIRTUAL_HOST,
        )
    )


def environment(state: RabbitmqState) -> dict[str, str]:
    """Everything the node and its tool are told; nothing of the machine's own RabbitMQ is read."""
    directory = state.directory
    nothing = str(directory / "none")
    return {
        "PATH": os.environ.get("PATH", os.defpath),
        "HOME": str(directory / "home"),
        "LANG": "C.UTF-8",
        "ERL_EPMD_ADDRESS": ports.LOOPBACK,
        "ERL_EPMD_PORT": str(state.epmd_port),
        "RABBITMQ_NODENAME": state.node,
        "RABBITMQ_NODE_PORT": str(state.port),
        "RABBITMQ_DIST_PORT": str(state.distribution_port),
        "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1}",
        "RABBITMQ_MNESIA_BASE": str(directory / "data"),
        "RABBITMQ_LOG_BASE": str(directory / "log"),
        "RABBITMQ_PID_FILE": str(directory / "server.pid"),
        "RABBITMQ_ENABLED_PLUGINS_FILE": str(directory / "enabled_plugins"),
        "RABBITMQ_CONFIG_FILE": str(directory / "rabbitmq.conf"),
        "RABBITMQ_CONFIG_FILES": nothing,
        "RABBITMQ_ADVANCED_CONFIG_FILE": nothing,
        "RABBITMQ_CONF_ENV_FILE": nothing,
        # Lets the start script become the node instead of waiting for it: the pid we record is the
        # node's own. (The name is the script's; no systemd is needed or told.)
        "RUNNING_UNDER_SYSTEMD": "true",
    }
