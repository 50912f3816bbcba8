"""A signed address, as S3 reads it."""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

import pytest

from switchboard.kernel import aws


@pytest.mark.parametrize("region", ["us-east-1", "eu-central-1"])
def test_an_address_is_signed_in_the_way_that_encrypted_objects_ask_for(
    monkeypatch: pytest.MonkeyPatch, region: str
) -> None:
    """In the oldest regions the SDK would sign as of old, and S3 refuse an object under KMS."""
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.setenv(name, region)
    aws.client.cache_clear()
    address = aws.client("s3").generate_presigned_url(
        "get_object", Params={"Bucket": "b", "Key": "t/media/1/file"}, ExpiresIn=300
    )
    aws.client.cache_clear()
    query = parse_qs(urlsplit(address).query)
    assert query["X-Amz-Algorithm"] == ["AWS4-HMAC-SHA256"]
    assert f"/{region}/s3/" in query["X-Amz-Credential"][0]
