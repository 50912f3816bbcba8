"""template.yaml is read as CloudFormation and SAM would, as far as the local run goes."""

from __future__ import annotations

import re
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

from local.faults import LocalError
from local.template.intrinsics import BrokenTemplate, read_yaml
from local.template.model import ACCOUNT, REGION, Template
from local.template.read import read_template

ROOT = Path(__file__).parents[2]
WHOLE = """
    Parameters:
      Stage: {Type: String, Default: dev}
      Url: {Type: String}
      Reserve: {Type: String, Default: "true"}
    Mappings:
      Sizes: {dev: {Memory: 256}, local: {Memory: 512}}
    Conditions:
      IsDev: !Equals [!Ref Stage, dev]
      IsNotDev: !Not [!Condition IsDev]
      Both: !And [!Condition IsNotDev, !Equals [!Ref Reserve, "true"]]
    Globals:
      Function:
        Handler: app.handler
        Timeout: 7
        Layers: [!Ref Common, "arn:aws:lambda:x:1:layer:elsewhere:3"]
        Environment: {Variables: {STAGE: !Ref Stage, SHARED: global, GONE: !Ref "AWS::NoValue"}}
    Resources:
      Alias: {Type: "AWS::KMS::Alias", Properties: {TargetKeyId: !Ref Key}}
      Key: {Type: "AWS::KMS::Key"}
      Bucket: {Type: "AWS::S3::Bucket"}
      Named: {Type: "AWS::S3::Bucket", Properties: {BucketName: !Sub "x-${AWS::AccountId}"}}
      Secret: {Type: "AWS::SecretsManager::Secret", Properties: {Name: !Sub "${AWS::StackName}/s"}}
      Common: {Type: "AWS::Serverless::LayerVersion", Properties: {ContentUri: layer}}
      One:
        Type: AWS::Serverless::Function
        Properties:
          FunctionName: !Sub "${AWS::StackName}-one"
          CodeUri: code
          MemorySize: !FindInMap [Sizes, !Ref Stage, Memory]
          ReservedConcurrentExecutions: !If [Both, 5, !Ref "AWS::NoValue"]
          EventInvokeConfig: {MaximumRetryAttempts: 0, MaximumEventAgeInSeconds: 60}
          Environment:
            Variables:
              SHARED: own
              BUCKET: !Ref Bucket
              BUCKET_ARN: !GetAtt Bucket.Arn
              KEY: !GetAtt Key.Arn
              ALIAS: !Ref Alias
              SECRET: !Ref Secret
              OTHER: !Sub ["${Name}:${Two.Arn}${!Kept}", {Name: !Join ["-", [a, !Ref Stage]]}]
              NUMBER: 3
              FLAG: true
              URL: !Ref Url
          Events:
            Get: {Type: HttpApi, Properties: {Method: get, Path: "/a/{id}"}}
            Any: {Type: HttpApi}
            Signed:
              Type: HttpApi
              Properties: {Method: get, Path: /iam, Auth: {Authorizer: AWS_IAM}}
            Tick:
              Type: ScheduleV2
              Properties: {ScheduleExpression: rate(1 minute), Input: '{"a":1}'}
            Off:
              Type: ScheduleV2
              Properties: {ScheduleExpression: rate(1 minute), State: DISABLED}
      Two:
        Type: AWS::Serverless::Function
        Properties: {CodeUri: code, Timeout: 1}
      Three:
        Type: AWS::Serverless::Function
        Condition: IsDev
        Properties: {CodeUri: nowhere}
"""


def _read(folder: Path, text: str, **options: Any) -> Template:
    (folder / "code").mkdir(exist_ok=True)
    (folder / "layer").mkdir(exist_ok=True)
    path = folder / "template.yaml"
    path.write_text(dedent(text))
    return read_template(path, **options)


def test_a_template_with_everything(tmp_path: Path) -> None:
    parameters = {"Stage": "local", "Url": "http://x", "Unknown": "is no error"}
    template = _read(tmp_path, WHOLE, parameters=parameters)
    assert [spec.logical_id for spec in template.functions] == ["One", "Two"]
    one, two = template.functions
    assert one.name == "switchboard-local-one"
    assert (one.timeout_s, one.memory_mb, one.reserved_concurrency) == (7, 512, 5)
    assert (one.retries, one.max_event_age_s) == (0, 60)
    assert one.layers == (tmp_path / "layer",)
    assert one.environment == {
        "STAGE": "local",
        "SHARED": "own",
        "BUCKET": "switchboard-local-bucket",
        "BUCKET_ARN": "arn:aws:s3:::switchboard-local-bucket",
        "KEY": f"arn:aws:kms:{REGION}:{ACCOUNT}:key/{template.keys['Key']}",
        "ALIAS": template.keys["Key"],
        "SECRET": template.secrets["Secret"],
        "OTHER": f"a-local:{two.arn}${{Kept}}",
        "NUMBER": "3",
        "FLAG": "true",
        "URL": "http://x",
    }
    assert two.name == "switchboard-local-Two"
    assert (two.timeout_s, two.memory_mb, two.reserved_concurrency) == (1, 128, None)
    assert two.environment == {"STAGE": "local", "SHARED": "global"}
    assert (two.retries, two.max_event_age_s) == (2, 21_600)


def test_routes_leave_out_those_that_ask_for_a_signature(tmp_path: Path) -> None:
    template = _read(tmp_path, WHOLE, parameters={"Stage": "local"})
    assert [route.key for route in template.routes] == ["GET /a/{id}", "$default"]


def test_only_schedules_that_are_on_are_kept(tmp_path: Path) -> None:
    template = _read(tmp_path, WHOLE, parameters={"Stage": "local"})
    (schedule,) = template.schedules
    assert schedule.expression == "rate(1 minute)"
    assert schedule.input == '{"a":1}'
    assert schedule.function == "switchboard-local-one"


def test_names_and_ids_are_the_same_at_every_reading(tmp_path: Path) -> None:
    first = _read(tmp_path, WHOLE, parameters={"Stage": "local"})
    second = _read(tmp_path, WHOLE, parameters={"Stage": "local"})
    assert (first.buckets, first.keys, first.secrets) == (
        second.buckets,
        second.keys,
        second.secrets,
    )
    assert first.buckets["Named"] == f"x-{ACCOUNT}"
    assert re.fullmatch(
        r"arn:aws:secretsmanager:.*:switchboard-local/s-\w{6}", first.secrets["Secret"]
    )


def test_an_override_replaces_only_what_the_template_declares(tmp_path: Path) -> None:
    given = {"URL": "mine", "UNDECLARED": "x"}
    template = _read(
        tmp_path,
        WHOLE,
        parameters={"Stage": "local"},
        overrides=lambda logical: given if logical == "One" else {},
    )
    one, two = template.functions
    assert one.environment["URL"] == "mine"
    assert "UNDECLARED" not in one.environment
    assert "URL" not in two.environment


def _one_function(properties: str) -> str:
    return f"Resources: {{F: {{Type: AWS::Serverless::Function, {properties}}}}}"


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (_one_function("Properties: {}"), "needs a CodeUri"),
        (_one_function("Properties: {CodeUri: gone, Handler: a.b}"), "code in gone, which does"),
        (_one_function("Properties: {CodeUri: code, Handler: !Ref Nobody}"), "refers to Nobody"),
        (_one_function("Properties: {CodeUri: !ImportValue x}"), "uses Fn::ImportValue"),
        (_one_function("Condition: Never"), "a condition Never"),
        ("- a list", "not a YAML mapping"),
        ("a: [", "not YAML"),
    ],
)
def test_a_broken_template_is_refused_in_words(tmp_path: Path, text: str, complaint: str) -> None:
    with pytest.raises(BrokenTemplate, match=complaint):
        _read(tmp_path, text)


def test_a_missing_template_is_refused_in_words(tmp_path: Path) -> None:
    with pytest.raises(LocalError, match="is missing"):
        read_template(tmp_path / "template.yaml")


def test_yaml_cannot_make_python_objects() -> None:
    with pytest.raises(BrokenTemplate):
        read_yaml("a: !!python/object/apply:os.getcwd []")


def test_the_projects_own_template_can_be_read() -> None:
    template = read_template(
        ROOT / "template.yaml", parameters={"Stage": "local", "DatabaseOwnerSecretArn": "arn:x"}
    )
    by_code = {spec.code.name: spec for spec in template.functions}
    assert {"webhook", "send_message", "process_jobs", "trigger_automation", "migrate"} <= set(
        by_code
    )
    for name in ("DATABASE_SECRET_ARN", "META_SECRET_ARN", "BACKLOG_BUCKET", "KMS_KEY_ID"):
        assert by_code["webhook"].environment[name], name
    assert by_code["webhook"].environment["STAGE"] == "local"
    assert ("POST /webhook", by_code["webhook"].name) in {
        (route.key, route.function) for route in template.routes
    }
    assert by_code["process_jobs"].name in {s.function for s in template.schedules}
