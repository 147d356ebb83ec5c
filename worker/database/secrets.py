"""Secrets at rest: encrypted with Fernet keys that are not in the database (platform spec 3.2.6)."""

from collections.abc import Sequence

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from worker.errors import InvalidInput


class SecretBox:
    """Encrypts with the first key, decrypts with any; so keys can be changed without downtime."""

    def __init__(self, keys: Sequence[str]) -> None:
        """Take the keys, newest first.

        Raises:
            InvalidInput: there is no key, or one is not a Fernet key.
        """
        if not keys:
            raise InvalidInput(
                "secret_key_missing",
                "BACKROOM_SECRET_KEY is not set: shops' secrets are kept encrypted; make a key with "
                '`python -c "from cryptography.fernet import Fernet; print(Fernet.generate_key().decode())"` '
                "and keep it safe",
            )
        try:
            self._fernet = MultiFernet([Fernet(key) for key in keys])
        except ValueError:
            raise InvalidInput(
                "secret_key_invalid",
                "BACKROOM_SECRET_KEY must be Fernet keys (44 characters of URL-safe base64), separated by commas",
            ) from None

    def encrypt(self, text: str) -> bytes:
        """The secret as it is stored."""
        return self._fernet.encrypt(text.encode())

    def decrypt(self, stored: bytes) -> str:
        """The secret itself.

        Raises:
            InvalidInput: none of the keys fits.
        """
        try:
            return self._fernet.decrypt(bytes(stored)).decode()
        except InvalidToken:
            raise InvalidInput("secret_key_wrong", _WRONG_KEY) from None

    def rotate(self, stored: bytes) -> bytes:
        """The same secret, encrypted with the first key.

        Raises:
            InvalidInput: none of the keys fits.
        """
        try:
            return self._fernet.rotate(bytes(stored))
        except InvalidToken:
            raise InvalidInput("secret_key_wrong", _WRONG_KEY) from None

    def __repr__(self) -> str:
        return "SecretBox(…)"


_WRONG_KEY = (
    "a stored secret was encrypted with a key that BACKROOM_SECRET_KEY does not hold: add the old key behind "
    "the new one, or set the shop's credentials again with `backroom shops set`"
)
