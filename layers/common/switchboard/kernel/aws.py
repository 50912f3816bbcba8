"""Lean botocore clients, made when first needed: boto3's resources cost another 40 ms of import."""

from __future__ import annotations

from functools import cache
from typing import Any


@cache
def client(service: str, *, read_s: float = 5, tries: int = 3) -> Any:
    """Return the botocore client of `service` (`s3`, `kms`, `lambda`), one per process.

    Timeouts are short: a function must answer before its own end. botocore reads the region, the
    credentials and AWS_ENDPOINT_URL from the environment. `tries` in all: 1 for what must not
    happen twice, since botocore repeats also what may have been done.
    """
    from botocore.config import Config
    from botocore.session import get_session

    return get_session().create_client(
        service,
        config=Config(
            connect_timeout=2,
            read_timeout=read_s,
            retries={"mode": "standard", "total_max_attempts": tries},
            s3={"addressing_style": "path"},
            # An address signed the old way cannot read an object that KMS encrypts.
            signature_version="s3v4" if service == "s3" else None,
        ),
    )
