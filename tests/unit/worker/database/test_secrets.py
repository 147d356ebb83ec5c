"""Secrets at rest: changed keys, wrong keys, and nothing shown."""

import pytest
from cryptography.fernet import Fernet

from worker.database.secrets import SecretBox
from worker.errors import InvalidInput

OLD, NEW = Fernet.generate_key().decode(), Fernet.generate_key().decode()


def test_what_was_encrypted_is_read_again_and_looks_different_each_time() -> None:
    box = SecretBox([OLD])

    assert box.decrypt(box.encrypt("Größe ☕")) == "Größe ☕"
    assert box.encrypt("a") != box.encrypt("a")


def test_an_old_secret_is_read_while_its_key_is_still_there_and_rotated_to_the_new_one() -> None:
    stored = SecretBox([OLD]).encrypt("s")

    rotated = SecretBox([NEW, OLD]).rotate(stored)

    assert SecretBox([NEW]).decrypt(rotated) == "s"


def test_a_secret_without_its_key_says_what_to_do() -> None:
    with pytest.raises(InvalidInput, match="add the old key behind the new one"):
        SecretBox([NEW]).decrypt(SecretBox([OLD]).encrypt("s"))


@pytest.mark.parametrize(("keys", "code"), [([], "secret_key_missing"), (["short"], "secret_key_invalid")])
def test_missing_and_malformed_keys_are_told_apart_without_showing_them(keys: list[str], code: str) -> None:
    with pytest.raises(InvalidInput) as error:
        SecretBox(keys)

    assert error.value.code == code
    assert "short" not in str(error.value)


def test_a_box_shows_no_key() -> None:
    assert OLD not in repr(SecretBox([OLD]))
