"""Column types (列类型): money, instants, keys, encrypted text, digests; for table modules."""

from __future__ import annotations

import json
import zlib
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    ColumnElement,
    DateTime,
    Dialect,
    Integer,
    LargeBinary,
    String,
    type_coerce,
)
from sqlalchemy.dialects import mysql
from sqlalchemy.types import TypeDecorator, TypeEngine

from gongdian.errors import InputError
from gongdian.privacy import seal, unseal

# SQLite numbers rows by itself only for INTEGER.
RowId = BigInteger().with_variant(Integer, "sqlite")


_WORTH_PACKING = 600
_MOST_YUAN = Decimal(10) ** 16  # in fen it still fits BIGINT


class UtcDateTime(TypeDecorator[datetime]):
    """An aware UTC instant with microseconds; a naive one is refused (DATETIME(6) on MySQL)."""

    impl = DateTime
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """Microseconds on MySQL and MariaDB."""
        kind = mysql.DATETIME(fsp=6) if dialect.name in ("mysql", "mariadb") else DateTime()
        return dialect.type_descriptor(kind)

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """To naive UTC."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise InputError("naive_instant", "an instant needs its time zone", value=str(value))
        return value.astimezone(UTC).replace(tzinfo=None)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """To aware UTC."""
        return None if value is None else value.replace(tzinfo=UTC)


class Fen(TypeDecorator[Decimal]):
    """Yuan as ``Decimal`` with two places in Python, integer fen in the database."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: Decimal | None, dialect: Dialect) -> int | None:
        """To fen; a float, or a part of a fen, is refused."""
        if value is None:
            return None
        if not isinstance(value, Decimal) or not value.is_finite() or abs(value) >= _MOST_YUAN:
            raise InputError("not_fen", "write yuan as Decimal with two places", value=str(value))
        # Exact whatever the context's precision; Decimal's own arithmetic would round.
        fen, rest = divmod(value.as_integer_ratio()[0] * 100, value.as_integer_ratio()[1])
        if rest:
            raise InputError("not_fen", "there is a part of a fen", value=str(value))
        return fen

    def process_result_value(self, value: int | None, dialect: Dialect) -> Decimal | None:
        """To yuan."""
        return None if value is None else Decimal(value).scaleb(-2)


class KeyText(TypeDecorator[str]):
    """A key: compared byte by byte (MySQL's default takes two openids that differ in case for one).

    MySQL's binary collation still ignores blanks at the end, so those are refused.
    """

    impl = String
    cache_ok = True

    def __init__(self, length: int) -> None:
        super().__init__(length)
        self.length = length

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """Binary collation on MySQL and MariaDB."""
        if dialect.name in ("mysql", "mariadb"):
            return dialect.type_descriptor(mysql.VARCHAR(self.length, collation="utf8mb4_bin"))
        return dialect.type_descriptor(String(self.length))

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        """Refuse what one of the databases would cut or compare differently."""
        if value is not None and (len(value) > self.length or value.endswith(" ")):
            raise InputError("bad_key", f"over {self.length} characters or ends in a blank")
        return value


class Digest(TypeDecorator[bytes]):
    """32 bytes: a hash or a blind index."""

    impl = LargeBinary
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """Fixed length on MySQL and MariaDB, so that it can be a key."""
        fixed = dialect.name in ("mysql", "mariadb")
        return dialect.type_descriptor(mysql.BINARY(32) if fixed else LargeBinary(32))

    def process_bind_param(self, value: bytes | None, dialect: Dialect) -> bytes | None:
        """Refuse another length: MySQL would pad it."""
        if value is not None and len(value) != 32:
            raise InputError("bad_digest", "a digest has 32 bytes")
        return value


class EncryptedText(TypeDecorator[str]):
    """Text encrypted at rest; ``purpose`` is the column's name, bound to the ciphertext."""

    impl = LargeBinary
    cache_ok = True

    def __init__(self, purpose: str) -> None:
        super().__init__()
        self.purpose = purpose

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """Up to 16 MiB on MySQL and MariaDB; a callback may hold 256 KiB."""
        big = dialect.name in ("mysql", "mariadb")
        return dialect.type_descriptor(mysql.MEDIUMBLOB() if big else LargeBinary())

    def process_bind_param(self, value: Any | None, dialect: Dialect) -> bytes | None:
        """Encrypt."""
        return None if value is None else seal(self.encode(value), self.purpose)

    def process_result_value(self, value: bytes | None, dialect: Dialect) -> Any | None:
        """Decrypt."""
        return None if value is None else self.decode(unseal(value, self.purpose))

    def encode(self, value: Any) -> bytes:
        """The plain bytes of a value."""
        return str(value).encode("utf-8")

    def decode(self, plain: bytes) -> Any:
        """The value of the plain bytes."""
        return plain.decode("utf-8")


class EncryptedBytes(EncryptedText):
    """Bytes encrypted at rest."""

    cache_ok = True  # SQLAlchemy does not take it from the parent

    def encode(self, value: Any) -> bytes:
        """As they are."""
        return bytes(value)

    def decode(self, plain: bytes) -> Any:
        """As they are."""
        return plain


class PackedText(EncryptedText):
    """Text encrypted at rest, packed before when that is worth it: histories repeat themselves.

    The first byte of what is encrypted tells which.
    """

    cache_ok = True

    def encode(self, value: Any) -> bytes:
        """To UTF-8, packed from some hundred bytes on; half a surrogate pair is kept as it is."""
        plain = str(value).encode("utf-8", "surrogatepass")
        if len(plain) < _WORTH_PACKING:
            return b"t" + plain
        return b"z" + zlib.compress(plain, 1)

    def decode(self, plain: bytes) -> Any:
        """The inverse of ``encode``."""
        body = zlib.decompress(plain[1:]) if plain[:1] == b"z" else plain[1:]
        return body.decode("utf-8", "surrogatepass")


def as_stored(column: Column[Any]) -> ColumnElement[Any]:
    """An encrypted column as its bytes, so that one row that cannot be opened spoils no other."""
    return type_coerce(column, LargeBinary()).label(column.name)


def opened(column: Column[Any], stored: bytes | None) -> Any:
    """What bytes from ``as_stored`` hold; InputError when no installed key opens them."""
    kind = column.type
    if stored is None or not isinstance(kind, EncryptedText):
        return stored
    return kind.decode(unseal(bytes(stored), kind.purpose))


class EncryptedJson(EncryptedText):
    """A JSON document encrypted at rest."""

    cache_ok = True

    def encode(self, value: Any) -> bytes:
        """To compact JSON."""
        return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8")

    def decode(self, plain: bytes) -> Any:
        """From JSON."""
        return json.loads(plain)
