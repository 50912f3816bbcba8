"""The stand-ins for S3, Secrets Manager, KMS and SES: what they hold survives `kill -9`."""

from __future__ import annotations

import json
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import botocore.session
import pytest
from botocore.exceptions import ClientError

from local.ports import free_port
from local.template.model import REGION
from local.template.resources import secret_arn

ROOT = Path(__file__).parents[2]
ARN = secret_arn("stack/meta")
KEY = "11111111-2222-3333-4444-555555555555"
RESOURCES: dict[str, Any] = {
    "buckets": ["backlog", "media"],
    "keys": [KEY],
    "secrets": [{"arn": ARN, "name": "stack/meta", "value": '{"v": 1}', "replace": False}],
}


class RunningAws:
    """A running stand-in that can be killed and started again on the same folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.start(RESOURCES)

    def start(self, resources: dict[str, Any]) -> None:
        self.port = free_port()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "local.aws", str(self.port), str(self.folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            cwd=ROOT,
        )
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps(resources) + "\n")
        self.process.stdin.flush()
        assert self.process.stdout.readline() == "ready\n"

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()
        for stream in (self.process.stdin, self.process.stdout):
            assert stream is not None
            stream.close()

    def kill_and_start(self, resources: dict[str, Any] = RESOURCES) -> None:
        self.kill()
        self.start(resources)

    def client(self, service: str) -> Any:
        return botocore.session.get_session().create_client(
            service,
            region_name=REGION,
            endpoint_url=f"http://127.0.0.1:{self.port}",
            aws_access_key_id="local",
            aws_secret_access_key="local",
        )

    def read_secret(self, arn: str, *, fresh: bool = False, token: str = "t") -> dict[str, Any]:
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}/secretsmanager/get?secretId={arn}"
            + ("&refreshNow=true" if fresh else ""),
            headers={"X-Aws-Parameters-Secrets-Token": token} if token else {},
        )
        with urllib.request.urlopen(request, timeout=5) as answer:
            document: dict[str, Any] = json.load(answer)
            return document


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningAws]:
    aws = RunningAws(tmp_path_factory.mktemp("aws"))
    yield aws
    aws.kill()


def _keys(aws: RunningAws, bucket: str) -> list[str]:
    listed = aws.client("s3").list_objects_v2(Bucket=bucket)
    return [entry["Key"] for entry in listed.get("Contents", [])]


def test_objects_survive_a_kill_with_their_body_and_type(running: RunningAws) -> None:
    s3 = running.client("s3")
    body = bytes(range(256)) * 40 + b"\n\n"
    key = "backlog/2026-01-02/größe + %2F?.json"
    s3.put_object(
        Bucket="backlog", Key=key, Body=body, ContentType="application/json", Metadata={"n": "1"}
    )
    before = s3.head_object(Bucket="backlog", Key=key)
    running.kill_and_start()
    found = running.client("s3").get_object(Bucket="backlog", Key=key)
    assert found["Body"].read() == body
    assert found["ContentType"] == "application/json"
    assert found["Metadata"] == {"n": "1"}
    assert found["ETag"] == before["ETag"]
    assert found["LastModified"] == before["LastModified"]


def test_a_deleted_object_stays_deleted(running: RunningAws) -> None:
    s3 = running.client("s3")
    for name in ("one", "two", "three", "four"):
        s3.put_object(Bucket="media", Key=name, Body=name.encode())
    s3.delete_object(Bucket="media", Key="one")
    s3.delete_objects(Bucket="media", Delete={"Objects": [{"Key": "two"}, {"Key": "three"}]})
    running.kill_and_start()
    assert _keys(running, "media") == ["four"]


def test_an_overwritten_or_copied_object_is_kept_as_it_is_now(running: RunningAws) -> None:
    s3 = running.client("s3")
    s3.put_object(Bucket="media", Key="dir/a", Body=b"old")
    s3.put_object(Bucket="media", Key="dir/a", Body=b"new")
    s3.copy_object(Bucket="media", Key="b", CopySource={"Bucket": "media", "Key": "dir/a"})
    running.kill_and_start()
    again = running.client("s3")
    assert again.get_object(Bucket="media", Key="dir/a")["Body"].read() == b"new"
    assert again.get_object(Bucket="media", Key="b")["Body"].read() == b"new"


def test_what_the_key_sealed_can_be_opened_after_a_kill_and_only_in_its_context(
    running: RunningAws,
) -> None:
    context = {"tenant_id": "t1", "purpose": "access_token"}
    arn = f"arn:aws:kms:{REGION}:123456789012:key/{KEY}"
    sealed = running.client("kms").encrypt(
        KeyId=arn, Plaintext=b"token", EncryptionContext=context
    )["CiphertextBlob"]
    running.kill_and_start()
    kms = running.client("kms")
    opened = kms.decrypt(CiphertextBlob=sealed, EncryptionContext=context)
    assert opened["Plaintext"] == b"token"
    with pytest.raises(ClientError, match="InvalidCiphertext"):
        kms.decrypt(CiphertextBlob=sealed, EncryptionContext=context | {"tenant_id": "t2"})


def test_a_rotated_secret_is_kept_and_the_first_value_does_not_come_back(
    running: RunningAws,
) -> None:
    running.client("secretsmanager").put_secret_value(SecretId=ARN, SecretString='{"v": 2}')
    running.kill_and_start()
    assert running.read_secret(ARN)["SecretString"] == '{"v": 2}'
    wanted: dict[str, Any] = RESOURCES["secrets"][0]
    running.kill_and_start(RESOURCES | {"secrets": [wanted | {"replace": True, "value": "3"}]})
    assert running.read_secret(ARN)["SecretString"] == "3"


def test_the_extension_serves_its_cache_until_asked_to_look_again(running: RunningAws) -> None:
    first = running.read_secret(ARN, fresh=True)
    assert first["ARN"] == ARN
    assert first["Name"] == "stack/meta"
    running.client("secretsmanager").put_secret_value(SecretId=ARN, SecretString="rotated")
    assert running.read_secret(ARN)["SecretString"] == first["SecretString"]
    assert running.read_secret(ARN, fresh=True)["SecretString"] == "rotated"


@pytest.mark.parametrize(
    ("arn", "token", "status"), [(ARN, "", 401), (secret_arn("nobody"), "t", 400)]
)
def test_the_extension_refuses(running: RunningAws, arn: str, token: str, status: int) -> None:
    with pytest.raises(urllib.error.HTTPError) as refused:
        running.read_secret(arn, token=token)
    assert refused.value.code == status
    refused.value.close()


def test_it_ends_when_its_parent_closes_the_pipe(tmp_path: Path) -> None:
    aws = RunningAws(tmp_path)
    assert aws.process.stdin is not None
    aws.process.stdin.close()
    assert aws.process.wait(10) == 0
    assert aws.process.stdout is not None
    aws.process.stdout.close()


def test_objects_put_by_many_at_once_are_all_kept(running: RunningAws) -> None:
    s3 = running.client("s3")

    def put(number: int) -> None:
        s3.put_object(Bucket="backlog", Key=f"many/{number}", Body=str(number).encode())

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(put, range(100)))
    running.kill_and_start()
    many = [key for key in _keys(running, "backlog") if key.startswith("many/")]
    assert len(many) == 100


def test_mails_survive_a_kill_and_what_ses_refuses_is_refused(running: RunningAws) -> None:
    def send(subject: str) -> Any:
        return running.client("sesv2").send_email(
            FromEmailAddress="Casa Verde <hello@casa-verde.example>",
            Destination={"ToAddresses": ["ana@acme.example"]},
            Content={
                "Simple": {
                    "Subject": {"Data": subject},
                    "Body": {"Text": {"Data": "Hello", "Charset": "UTF-8"}},
                }
            },
        )

    def mails() -> list[dict[str, Any]]:
        with urllib.request.urlopen(f"http://127.0.0.1:{running.port}/_mails", timeout=5) as told:
            kept: list[dict[str, Any]] = json.load(told)
            return kept

    message_id = send("Hello")["MessageId"]
    with pytest.raises(ClientError) as refused:
        send("Hello\r\nBcc: x@y.example")
    assert refused.value.response["Error"]["Code"] == "BadRequestException"
    running.kill_and_start()
    assert [mail["MessageId"] for mail in mails()] == [message_id]
