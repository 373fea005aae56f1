"""Share links: signed, short, good for a week, and nobody else can make one."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gongdian.errors import ConflictError, NotFoundError
from wechat_handlers.arrears_sharing import SHARE_LIFE, read_share, sign_share

KEY, OTHER = b"k" * 32, b"o" * 32
NOW = datetime(2026, 11, 23, 2, tzinfo=UTC)


@given(st.integers(0, 2**63 - 1))
def test_a_link_gives_back_its_message_until_its_end(message_id: int) -> None:
    token = sign_share(KEY, message_id, NOW)

    assert len(token) == 38
    assert read_share(KEY, token, NOW + SHARE_LIFE - timedelta(seconds=1)) == (
        message_id,
        NOW + SHARE_LIFE,
    )
    with pytest.raises(ConflictError, match="share_expired"):
        read_share(KEY, token, NOW + SHARE_LIFE)


@given(st.text(max_size=60))
def test_what_we_never_signed_is_refused(token: str) -> None:
    with pytest.raises(NotFoundError):
        read_share(KEY, token, NOW)


def test_every_character_and_the_key_count() -> None:
    token = sign_share(KEY, 7, NOW)

    # The last character carries four bits that stand for nothing.
    for place in range(len(token) - 1):
        changed = "A" if token[place] != "A" else "B"
        with pytest.raises(NotFoundError):
            read_share(KEY, token[:place] + changed + token[place + 1 :], NOW)
    with pytest.raises(NotFoundError):
        read_share(OTHER, token, NOW)
