"""Many frames, one system call: what `JoiningConnection` takes from the inside of pika, watched."""

from pika import BasicProperties
from pika.spec import Basic

from producers.client.connection import JoiningConnection


class Line(JoiningConnection):
    """A connection that was never made and keeps what it would have written."""

    def __init__(self) -> None:
        self.written: list[bytes] = []
        self.bytes_sent = 0
        self.frames_sent = 0
        self._body_max_length = 100_000

    @property
    def is_open(self) -> bool:
        return True

    @property
    def is_closed(self) -> bool:
        return False

    def _adapter_emit_data(self, data: bytes) -> None:
        self.written.append(data)

    def publish(self, body: bytes) -> None:
        """As pika's channel does."""
        method = Basic.Publish(exchange="", routing_key="orders")
        self._send_message(1, method, (BasicProperties(), body))  # type: ignore[attr-defined]


def test_the_three_frames_of_a_message_leave_in_one_piece() -> None:
    line = Line()

    line.publish(b"one")

    assert len(line.written) == 1
    assert line.written[0].endswith(b"one\xce")


def test_messages_sent_together_leave_in_one_piece_in_their_order() -> None:
    line, apart = Line(), Line()
    for body in (b"one", b"two", b"three"):
        apart.publish(body)

    with line.together():
        for body in (b"one", b"two", b"three"):
            line.publish(body)
        before_the_end = list(line.written)

    assert before_the_end == []
    assert line.written == [b"".join(apart.written)]


def test_pieces_stay_small_enough_for_a_socket() -> None:
    line = Line()

    with line.together():
        for _ in range(10):
            line.publish(b"x" * 30_000)

    assert [len(piece) > 64 * 1024 for piece in line.written] == [True, True, True, False]
    assert sum(map(len, line.written)) == sum(30_000 + overhead() for _ in range(10))


def test_what_was_written_before_a_mistake_leaves_all_the_same() -> None:
    line = Line()

    try:
        with line.together():
            line.publish(b"one")
            raise ValueError("a body that cannot be sent")
    except ValueError:
        line.publish(b"two")

    assert [piece[-4:-1] for piece in line.written] == [b"one", b"two"]


def overhead() -> int:
    """Bytes of the frames around a body."""
    line = Line()
    line.publish(b"x")
    return len(line.written[0]) - 1
