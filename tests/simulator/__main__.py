"""The simulated shop as a process: ``python -m tests.simulator --shop demo-shop --seed-demo``.

Prints one line of JSON when it is ready and stops on SIGTERM or SIGINT.
"""

import argparse
import json
import signal
import sys
import threading

from tests.simulator.control import DEFAULT_SECRET, DEFAULT_TOKEN
from tests.simulator.server import Simulator
from tests.simulator.throttle import STANDARD_MAXIMUM, STANDARD_RESTORE_RATE


def main(arguments: list[str] | None = None) -> int:
    """Serve until told to stop; returns 0."""
    options = _parser().parse_args(arguments)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    with Simulator.start(options.host, options.port, seed=options.seed) as simulator:
        simulator.set_webhooks({"retry_scale": options.webhook_retry_scale})
        shops = []
        for name in options.shop:
            facts = simulator.add_shop(
                name,
                token=options.token,
                webhook_secret=options.webhook_secret,
                maximum=options.bucket_maximum,
                restore_rate=options.restore_rate,
            )
            if options.seed_demo:
                simulator.seed_demo(name)
            if options.webhooks_to:
                simulator.subscribe(name, options.webhooks_to)
            shops.append(facts)
        print(json.dumps({"base_url": simulator.base_url, "shops": shops}), flush=True)
        stop.wait()
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.simulator", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0, help="0 takes a free port (default)")
    parser.add_argument("--shop", action="append", default=[], help="name of a shop to open; repeatable")
    parser.add_argument("--seed-demo", action="store_true", help="fill each shop with the demo catalogue")
    parser.add_argument("--token", default=DEFAULT_TOKEN, help="access token of each shop")
    parser.add_argument("--webhook-secret", default=DEFAULT_SECRET, help="secret that signs webhooks")
    parser.add_argument("--webhooks-to", metavar="URL", help="subscribe this address to all topics")
    parser.add_argument(
        "--webhook-retry-scale", type=float, default=0.001, help="1 = Shopify's eight retries over four hours"
    )
    parser.add_argument("--bucket-maximum", type=float, default=STANDARD_MAXIMUM, help="points")
    parser.add_argument("--restore-rate", type=float, default=STANDARD_RESTORE_RATE, help="points a second")
    parser.add_argument("--seed", type=int, default=0, help="of shuffled webhooks and probable faults")
    return parser


if __name__ == "__main__":
    sys.exit(main())
