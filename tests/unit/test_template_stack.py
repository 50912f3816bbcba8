"""template.yaml as CloudFormation will see it: after SAM's own transform."""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from samtranslator.translator.transform import transform

from functions.manage import app as manage
from functions.migrate.app import Deployment
from local.template.intrinsics import read_yaml

# SAM takes seconds for each transform: one worker makes them all, each once.
pytestmark = pytest.mark.xdist_group("template")

ROOT = Path(__file__).parents[2]
FUNCTIONS = {
    "WebhookFunction",
    "SendMessageFunction",
    "ManageFunction",
    "TriggerAutomationFunction",
    "ProcessJobsFunction",
    "MigrateFunction",
}
#: Read by Powertools, not by our settings.
FOREIGN_VARIABLES = {"POWERTOOLS_SERVICE_NAME", "POWERTOOLS_METRICS_NAMESPACE"}
SAM_POLICIES = {
    name: f"arn:aws:iam::aws:policy/service-role/{name}"
    for name in (
        "AWSLambdaBasicExecutionRole",
        "AWSLambdaVPCAccessExecutionRole",
        "AWSXRayDaemonWriteAccess",
        "AWSXrayWriteOnlyAccess",
    )
}

HANDLERS = frozenset(FUNCTIONS - {"MigrateFunction"})
COMMON_LAYER = frozenset({"CommonLayer"})

Resources = dict[str, dict[str, Any]]


@pytest.fixture(scope="module")
def source() -> dict[str, Any]:
    """The template as it is written."""
    return read_yaml((ROOT / "template.yaml").read_text())


@cache
def transformed(*, changed: frozenset[str] = frozenset()) -> Resources:
    """The template's resources after SAM's transform, as after `sam package`.

    Packaging names each artefact by its content; `changed` are those with other content. It takes
    seconds.
    """
    template = read_yaml((ROOT / "template.yaml").read_text())
    for name, resource in template["Resources"].items():
        for key in ("CodeUri", "ContentUri"):
            if key in resource.get("Properties", {}):
                content = "new" if name in changed else "old"
                resource["Properties"][key] = f"s3://bucket/{name}/{content}"
    parameters = {
        name: parameter.get("Default", "x") for name, parameter in template["Parameters"].items()
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
        result = transform(template, parameters, SamPolicies())
    resources: Resources = result["Resources"]
    return resources


class SamPolicies:
    """SAM asks IAM for the ARNs of managed policies; here the answer is known."""

    def load(self) -> dict[str, str]:
        return SAM_POLICIES


@pytest.fixture(scope="module")
def stack() -> Resources:
    return transformed()


def of_type(resources: Resources, kind: str) -> Resources:
    return {name: r for name, r in resources.items() if r["Type"] == kind}


def references(value: Any) -> Iterator[str]:
    """Logical ids that a value points at, by Ref, GetAtt, Sub or DependsOn."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            if key == "Ref":
                yield str(inner)
            elif key == "Fn::GetAtt":
                yield str(inner[0] if isinstance(inner, list) else inner).split(".", 1)[0]
            elif key == "Fn::Sub":
                text = inner if isinstance(inner, str) else inner[0]
                yield from (name.split(".")[0] for name in re.findall(r"\$\{(\w+[.\w]*)\}", text))
                yield from references(inner)
            elif key == "DependsOn":
                yield from [inner] if isinstance(inner, str) else inner
            else:
                yield from references(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from references(inner)


def waits_for(resources: Resources, name: str) -> set[str]:
    """Everything that CloudFormation finishes before it starts with `name`."""
    seen: set[str] = set()
    todo = [name]
    while todo:
        for other in references(resources[todo.pop()]):
            if other in resources and other not in seen:
                seen.add(other)
                todo.append(other)
    return seen


def statements(resources: Resources, function: str) -> list[dict[str, Any]]:
    """Every statement that the function's role is given in this template."""
    properties = resources[f"{function}Role"]["Properties"]
    found = [s for p in properties.get("Policies", []) for s in p["PolicyDocument"]["Statement"]]
    for arn in properties["ManagedPolicyArns"]:
        if isinstance(arn, dict) and "Ref" in arn:
            document = resources[arn["Ref"]]["Properties"]["PolicyDocument"]
            found += document["Statement"]
    # A conditional statement counts as if its condition held.
    return [s["Fn::If"][1] if "Fn::If" in s else s for s in found]


def actions(statement: dict[str, Any]) -> list[str]:
    named = statement["Action"]
    return [named] if isinstance(named, str) else named


def unsealed_purposes(resources: Resources, function: str) -> set[str]:
    """Purposes whose seals the function can open; secrets and objects go through other services."""
    return purposes_of(resources, function, "kms:Decrypt")


def purposes_of(resources: Resources, function: str, action: str) -> set[str]:
    """Purposes for which the function may itself do `action`, and always for a named tenant."""
    purposes: set[str] = set()
    for statement in statements(resources, function):
        if action not in actions(statement):
            continue
        equals = statement["Condition"]["StringEquals"]
        if "kms:ViaService" in equals:
            continue
        named = equals["kms:EncryptionContext:purpose"]
        assert statement["Condition"]["Null"] == {"kms:EncryptionContext:tenant_id": "false"}
        purposes |= {named} if isinstance(named, str) else set(named)
    return purposes


def test_no_function_is_forgotten(stack: Resources) -> None:
    assert set(of_type(stack, "AWS::Lambda::Function")) == FUNCTIONS


@pytest.mark.parametrize("function", sorted(FUNCTIONS - {"MigrateFunction"}))
def test_no_new_code_is_uploaded_and_no_alias_moves_before_the_schema_is_there(
    stack: Resources, function: str
) -> None:
    moved = [
        name
        for name, resource in stack.items()
        if resource["Type"] in {"AWS::Lambda::Version", "AWS::Lambda::Alias"}
        and name.startswith(function)
    ]
    assert len(moved) == 2
    for name in [function, *moved]:
        assert "Schema" in waits_for(stack, name)


def test_the_schema_waits_for_nothing_that_waits_for_it(stack: Resources) -> None:
    needed = waits_for(stack, "Schema")
    assert "MigrateFunction" in needed
    assert not needed & (FUNCTIONS - {"MigrateFunction"})


def test_new_files_in_sql_run_the_schema_resource_again_and_the_same_files_do_not() -> None:
    def hashed(resources: Resources) -> Any:
        return resources["Schema"]["Properties"]["MigrationsHash"]

    assert hashed(transformed()) == hashed(transformed(changed=COMMON_LAYER))
    assert hashed(transformed()) != hashed(transformed(changed=frozenset({"MigrationsLayer"})))


def test_the_same_files_change_nothing() -> None:
    assert transformed.__wrapped__() == transformed()


@pytest.mark.parametrize("function", sorted(HANDLERS))
def test_new_code_goes_live_whether_it_is_in_the_handler_or_in_the_layer(
    function: str,
) -> None:
    def version(resources: Resources) -> Any:
        return resources[f"{function}Aliaslive"]["Properties"]["FunctionVersion"]

    before = version(transformed())
    assert before != version(transformed(changed=HANDLERS))
    assert before != version(transformed(changed=COMMON_LAYER))


def test_a_changed_parameter_goes_live_too_since_it_is_a_file_of_the_layer() -> None:
    # SAM hashes names of parameters, not their values: without this a new allow list of recipients
    # would stand in the function and not in the version that serves.
    assert (ROOT / "layers/common/samconfig.toml").samefile(ROOT / "samconfig.toml")


def test_two_stacks_fit_into_one_account(stack: Resources) -> None:
    names = {
        (name, key): value
        for name, resource in stack.items()
        for key, value in resource["Properties"].items()
        if key in {"Name", "FunctionName", "QueueName", "LayerName", "LogGroupName", "AliasName"}
        and resource["Type"] != "AWS::Lambda::Alias"
    }
    assert len(names) > 15
    for where, value in names.items():
        if isinstance(value, str):
            pytest.fail(f"{where} is the same in every stack")
        assert "${AWS::StackName}" in value.get("Fn::Sub", "") or "Ref" in value, where


def test_migrate_answers_before_lambda_ends_it_and_cloudformation_gives_up(
    source: dict[str, Any],
) -> None:
    timeout = source["Resources"]["MigrateFunction"]["Properties"]["Timeout"]
    assert timeout < source["Resources"]["Schema"]["Properties"]["ServiceTimeout"]


@pytest.mark.parametrize("function", sorted(FUNCTIONS))
def test_every_variable_is_a_setting_that_the_code_knows(stack: Resources, function: str) -> None:
    variables = set(stack[function]["Properties"]["Environment"]["Variables"])
    known = {name.upper() for name in Deployment.model_fields}
    assert variables - FOREIGN_VARIABLES <= known
    assert {"STAGE", "LOG_LEVEL", "DATABASE_SECRET_ARN"} <= variables


@pytest.mark.parametrize("function", sorted(FUNCTIONS))
def test_every_function_has_its_code(source: dict[str, Any], function: str) -> None:
    properties = source["Resources"][function]["Properties"]
    tree = ast.parse((ROOT / properties["CodeUri"] / "app.py").read_text())
    handlers = [n for n in tree.body if isinstance(n, ast.FunctionDef) and n.name == "handler"]
    assert [[a.arg for a in h.args.args] for h in handlers] == [["event", "context"]]


def managed() -> list[str]:
    """The routes that the modules of functions/manage answer."""
    return [route for resource in manage.RESOURCES for route in manage.routes(resource)]


def test_routes_are_those_of_the_interface(source: dict[str, Any]) -> None:
    routes = {
        (event["Properties"]["Method"], event["Properties"]["Path"]): name
        for name, resource in source["Resources"].items()
        if resource["Type"] == "AWS::Serverless::Function"
        for event in resource["Properties"].get("Events", {}).values()
        if event["Type"] == "HttpApi"
    }
    assert routes == {
        ("GET", "/webhook"): "WebhookFunction",
        ("POST", "/webhook"): "WebhookFunction",
        ("GET", "/webhook/{app_id}"): "WebhookFunction",
        ("POST", "/webhook/{app_id}"): "WebhookFunction",
        ("GET", "/l/{token}"): "WebhookFunction",
        ("HEAD", "/l/{token}"): "WebhookFunction",
        ("GET", "/p/{token}"): "WebhookFunction",
        ("POST", "/p/{token}"): "WebhookFunction",
        ("POST", "/v1/messages"): "SendMessageFunction",
        ("POST", "/v1/messages/batch"): "SendMessageFunction",
        ("GET", "/v1/messages/{id}"): "SendMessageFunction",
    } | {tuple(route.split(" ")): "ManageFunction" for route in managed()}


def test_iam_routes_are_a_choice_and_always_ask_for_a_signature(stack: Resources) -> None:
    routes = of_type(stack, "AWS::ApiGatewayV2::Route")
    assert {r["Properties"]["RouteKey"] for r in routes.values()} == {
        "POST /iam/v1/messages",
        "POST /iam/v1/messages/batch",
        "GET /iam/v1/messages/{id}",
    } | {route.replace(" /", " /iam/") for route in managed()}
    for route in routes.values():
        assert route["Condition"] == "HasIamRoutes"
        assert route["Properties"]["AuthorizationType"] == "AWS_IAM"


def test_the_webhook_can_open_no_access_token_and_knows_no_graph(stack: Resources) -> None:
    assert unsealed_purposes(stack, "WebhookFunction") == {"app_secret", "verify_token"}
    variables = stack["WebhookFunction"]["Properties"]["Environment"]["Variables"]
    assert not [name for name in variables if name.startswith("GRAPH_")]


@pytest.mark.parametrize(
    ("function", "purposes"),
    [
        ("SendMessageFunction", {"access_token"}),
        # It checks codes, by the keys of their digests.
        ("ManageFunction", {"access_token", "verification_key"}),
        # It also signs what subscribers are told, and what agents are asked.
        ("ProcessJobsFunction", {"access_token", "subscription_secret", "agent_secret"}),
    ],
)
def test_senders_open_access_tokens_and_know_no_app_secret(
    stack: Resources, function: str, purposes: set[str]
) -> None:
    assert unsealed_purposes(stack, function) == purposes
    assert "MetaSecret" not in {n for s in statements(stack, function) for n in references(s)}


def test_who_signs_and_who_opens_links_to_preferences_reads_their_key_and_nobody_else(
    stack: Resources,
) -> None:
    readers = {
        function
        for function in FUNCTIONS
        if "PreferencesSecret" in {n for s in statements(stack, function) for n in references(s)}
    }
    # process_jobs puts a link into mails.
    assert readers == {"ManageFunction", "WebhookFunction", "ProcessJobsFunction"}
    for function in FUNCTIONS:
        variables = stack[function]["Properties"]["Environment"]["Variables"]
        assert ("PREFERENCES_SECRET_ARN" in variables) is (function in readers)


@pytest.mark.parametrize(
    ("function", "purposes"),
    [
        ("MigrateFunction", {"access_token", "app_secret", "verify_token"}),
        # It cannot open what others sign with, only the keys of codes that it checks itself.
        (
            "ManageFunction",
            {"subscription_secret", "agent_secret", "verify_token", "verification_key"},
        ),
        ("WebhookFunction", set()),
        ("SendMessageFunction", set()),
        ("ProcessJobsFunction", set()),
        ("TriggerAutomationFunction", set()),
    ],
)
def test_who_takes_secrets_in_seals_them_for_their_purpose_alone(
    stack: Resources, function: str, purposes: set[str]
) -> None:
    assert purposes_of(stack, function, "kms:Encrypt") == purposes


@pytest.mark.parametrize("function", ["TriggerAutomationFunction", "MigrateFunction"])
def test_who_neither_sends_nor_receives_opens_nothing(stack: Resources, function: str) -> None:
    assert unsealed_purposes(stack, function) == set()


def test_only_migrate_may_read_the_owners_password(stack: Resources) -> None:
    readers = {
        function
        for function in FUNCTIONS
        for statement in statements(stack, function)
        if "DatabaseOwnerSecretArn" in references(statement)
    }
    assert readers == {"MigrateFunction"}


@pytest.mark.parametrize("function", sorted(FUNCTIONS))
def test_no_role_is_given_a_star(stack: Resources, function: str) -> None:
    for statement in statements(stack, function):
        assert not [action for action in actions(statement) if "*" in action], statement
        assert statement["Resource"] != "*", statement


def test_the_webhook_may_only_add_to_the_backlog(stack: Resources) -> None:
    [spool] = [
        s
        for s in statements(stack, "WebhookFunction")
        if any(action.startswith("s3:") for action in actions(s))
    ]
    assert actions(spool) == ["s3:PutObject"]
    assert spool["Resource"] == {"Fn::Sub": "${BacklogBucket.Arn}/20*"}


@pytest.mark.parametrize("bucket", ["BacklogBucket", "MediaBucket"])
def test_buckets_are_private_encrypted_kept_and_speak_tls_only(
    stack: Resources, bucket: str
) -> None:
    resource = stack[bucket]
    assert resource["DeletionPolicy"] == resource["UpdateReplacePolicy"] == "Retain"
    assert set(resource["Properties"]["PublicAccessBlockConfiguration"].values()) == {True}
    [rule] = resource["Properties"]["BucketEncryption"]["ServerSideEncryptionConfiguration"]
    assert rule["ServerSideEncryptionByDefault"]["SSEAlgorithm"] == "aws:kms"
    [deny] = stack[f"{bucket}Policy"]["Properties"]["PolicyDocument"]["Statement"]
    assert deny["Effect"] == "Deny"
    assert deny["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}


def test_a_deleted_stack_leaves_the_key_without_which_its_seals_are_lost(stack: Resources) -> None:
    assert stack["Key"]["DeletionPolicy"] == "Retain"
    assert stack["Key"]["Properties"]["EnableKeyRotation"] is True


def test_a_nudge_is_forgotten_rather_than_repeated(stack: Resources) -> None:
    [config] = of_type(stack, "AWS::Lambda::EventInvokeConfig").values()
    assert config["Properties"]["FunctionName"] == {"Ref": "ProcessJobsFunction"}
    assert config["Properties"]["MaximumRetryAttempts"] == 0
    assert config["Properties"]["MaximumEventAgeInSeconds"] == 60
    # Nudges go to the alias, so that is where the setting must be.
    assert "ProcessJobsFunctionAliaslive" in set(references(config))


def test_both_schedules_tick_every_minute_and_lost_ticks_are_kept(stack: Resources) -> None:
    schedules = of_type(stack, "AWS::Scheduler::Schedule")
    assert len(schedules) == 2
    for schedule in schedules.values():
        properties = schedule["Properties"]
        assert properties["ScheduleExpression"] == "rate(1 minute)"
        assert properties["FlexibleTimeWindow"] == {"Mode": "OFF"}
        assert properties["Target"]["DeadLetterConfig"] == {
            "Arn": {"Fn::GetAtt": ["LostTicks", "Arn"]}
        }


def test_process_jobs_alone_sends_mail_and_only_where_there_is_an_identity(
    stack: Resources,
) -> None:
    (name,) = of_type(stack, "AWS::SES::ConfigurationSet")
    senders = {
        function: statement
        for function in FUNCTIONS
        for statement in statements(stack, function)
        if any(action.startswith("ses:") for action in actions(statement))
    }
    assert set(senders) == {"ProcessJobsFunction"}
    statement = senders["ProcessJobsFunction"]
    assert actions(statement) == ["ses:SendEmail"]
    identity, configuration_set = statement["Resource"]
    assert identity["Fn::Sub"].endswith(":identity/${MailIdentity}")
    assert configuration_set["Fn::Sub"].endswith(f":configuration-set/${{{name}}}")
    variables = stack["ProcessJobsFunction"]["Properties"]["Environment"]["Variables"]
    assert variables["SES_CONFIGURATION_SET"] == {"Ref": name}


def test_what_ses_tells_of_our_mails_waits_in_a_queue_until_it_is_taken(stack: Resources) -> None:
    (destination,) = of_type(stack, "AWS::SES::ConfigurationSetEventDestination").values()
    told = destination["Properties"]["EventDestination"]
    # Opens and clicks are nobody's business here.
    assert set(told["MatchingEventTypes"]) == {
        "SEND",
        "REJECT",
        "BOUNCE",
        "COMPLAINT",
        "DELIVERY",
        "DELIVERY_DELAY",
    }
    rule = stack["MailEventRule"]["Properties"]
    assert rule["EventPattern"]["source"] == ["aws.ses"]
    ours = rule["EventPattern"]["detail"]["mail"]["tags"]["ses:configuration-set"]
    assert ours == [{"Ref": "MailConfigurationSet"}]
    assert [target["Arn"] for target in rule["Targets"]] == [{"Fn::GetAtt": ["MailEvents", "Arn"]}]
    queue = stack["MailEvents"]["Properties"]
    lambda_timeout = stack["ProcessJobsFunction"]["Properties"]["Timeout"]
    assert queue["VisibilityTimeout"] >= 6 * lambda_timeout
    assert "LostMailEvents" in set(references(queue["RedrivePolicy"]))
    (source,) = of_type(stack, "AWS::Lambda::EventSourceMapping").values()
    assert source["Properties"]["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
    assert "ProcessJobsFunctionAliaslive" in set(references(source))
    # What EventBridge cannot hand over is not lost without a trace either.
    (target,) = rule["Targets"]
    assert "LostMailEvents" in set(references(target["DeadLetterConfig"]))
    for name in ("MailEvents", "LostMailEvents"):
        (allowed,) = stack[f"{name}Policy"]["Properties"]["PolicyDocument"]["Statement"]
        assert allowed["Principal"] == {"Service": "events.amazonaws.com"}
        assert allowed["Resource"] == {"Fn::GetAtt": [name, "Arn"]}
        assert "MailEventRule" in set(references(allowed["Condition"]))


def test_every_log_is_kept_for_a_named_time_and_encrypted(stack: Resources) -> None:
    groups = of_type(stack, "AWS::Logs::LogGroup")
    logged = {
        r["Properties"]["LoggingConfig"]["LogGroup"]["Ref"]
        for r in of_type(stack, "AWS::Lambda::Function").values()
    }
    assert set(groups) == logged | {"ApiLog"}
    for group in groups.values():
        assert group["Properties"]["RetentionInDays"] == {"Ref": "LogRetentionDays"}
        assert group["Properties"]["KmsKeyId"] == {"Fn::GetAtt": ["Key", "Arn"]}


def test_every_metric_counts_an_event_that_the_code_logs(stack: Resources) -> None:
    sources = "".join(p.read_text() for p in (ROOT / "layers/common/switchboard").rglob("*.py"))
    metrics = of_type(stack, "AWS::Logs::MetricFilter")
    assert metrics
    for metric in metrics.values():
        match = re.fullmatch(
            r'\{ \$\.message = ("[a-z_.]+")(?: && \$\.priority = ("[a-z]+"))? \}',
            metric["Properties"]["FilterPattern"],
        )
        assert match
        assert match[1] in sources
        assert match[2] is None or match[2] in sources
        (made,) = metric["Properties"]["MetricTransformations"]
        # One for each line, or a member of it.
        assert made["MetricValue"] == "1" or f'"{made["MetricValue"][2:]}"' in sources


def test_every_alarm_reaches_the_topic_and_is_quiet_without_data_but_one(stack: Resources) -> None:
    alarms = of_type(stack, "AWS::CloudWatch::Alarm")
    assert len(alarms) > 8
    for name, alarm in alarms.items():
        actions = alarm["Properties"]["AlarmActions"]["Fn::If"]
        assert actions[:2] == ["HasAlarmTopic", [{"Ref": "AlarmTopicArn"}]]
        # But who measures the jobs is a worker: no word of it means that nobody works.
        missing = "breaching" if name == "JobsAgeAlarm" else "notBreaching"
        assert alarm["Properties"]["TreatMissingData"] == missing


def test_every_function_traces_and_runs_on_arm_with_the_same_python(stack: Resources) -> None:
    for function in of_type(stack, "AWS::Lambda::Function").values():
        assert function["Properties"]["TracingConfig"] == {"Mode": "Active"}
        assert function["Properties"]["Architectures"] == ["arm64"]
        assert function["Properties"]["Runtime"] == "python3.13"
    assert (ROOT / ".python-version").read_text().strip() == "3.13"


def test_every_parameter_is_described_grouped_and_used(source: dict[str, Any]) -> None:
    groups = source["Metadata"]["AWS::CloudFormation::Interface"]["ParameterGroups"]
    grouped = [name for group in groups for name in group["Parameters"]]
    assert sorted(grouped) == sorted(source["Parameters"])
    assert all(parameter["Description"] for parameter in source["Parameters"].values())
    rest = {key: source[key] for key in ("Conditions", "Globals", "Resources")}
    assert set(source["Parameters"]) <= set(references(rest))


def test_secrets_are_no_parameters(source: dict[str, Any]) -> None:
    # What a template is given stands readable in the stack's history; an ARN may stand there.
    for name in source["Parameters"]:
        if re.search("password|token|secret", name, re.IGNORECASE):
            assert name.endswith("Arn")


@pytest.mark.parametrize("stage", ["dev", "staging", "prod"])
def test_every_stage_has_its_own_stack_and_known_parameters(
    source: dict[str, Any], stage: str
) -> None:
    config = tomllib.loads((ROOT / "samconfig.toml").read_text())
    deploy = config[stage]["deploy"]["parameters"]
    given = dict(entry.split("=", 1) for entry in deploy["parameter_overrides"])
    assert deploy["stack_name"] == f"switchboard-{stage}"
    assert given["Stage"] == stage
    assert set(given) <= set(source["Parameters"])
    for name, value in given.items():
        allowed = source["Parameters"][name].get("AllowedValues")
        assert allowed is None or value in [str(one) for one in allowed]
