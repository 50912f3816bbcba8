"""What a command says where AWS does not do its part."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from switchboard.kernel.errors import Unavailable


@contextmanager
def bucket_at_hand(name: str) -> Iterator[None]:
    """Raise Unavailable where S3 does not answer, does not know us, or has no such bucket."""
    # botocore is heavy, and few commands need it.
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        yield
    except (BotoCoreError, ClientError) as error:
        raise Unavailable(f"the bucket of {name} cannot be reached") from error
