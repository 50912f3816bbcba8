"""Names, ids and ARNs of a template's resources, the same at every start.

AWS makes up physical names; here they follow from the logical ids, so that what is kept under
`.local/` finds its owner again.
"""

from __future__ import annotations

import hashlib
import uuid
from typing import Any

from local.template.intrinsics import BrokenTemplate, Resolver
from local.template.model import ACCOUNT, REGION

STACK = "switchboard-local"
FUNCTION_TYPES = ("AWS::Serverless::Function", "AWS::Lambda::Function")
_BUCKET, _KEY = "AWS::S3::Bucket", "AWS::KMS::Key"
_ALIAS = "AWS::KMS::Alias"
_SECRET = "AWS::SecretsManager::Secret"
_NAME_PROPERTY = {
    **dict.fromkeys(FUNCTION_TYPES, "FunctionName"),
    _BUCKET: "BucketName",
    _SECRET: "Name",
}


class Resources:
    """The resources section with physical ids; `attribute` answers Fn::GetAtt."""

    def __init__(self, document: dict[str, Any], parameters: dict[str, Any]) -> None:
        """`parameters` override the template's defaults; one without either is an empty text."""
        self._resources: dict[str, Any] = document.get("Resources") or {}
        self.names: dict[str, Any] = {
            "AWS::AccountId": ACCOUNT,
            "AWS::Region": REGION,
            "AWS::StackName": STACK,
            "AWS::StackId": f"arn:aws:cloudformation:{REGION}:{ACCOUNT}:stack/{STACK}/local",
            "AWS::Partition": "aws",
            "AWS::URLSuffix": "amazonaws.com",
        }
        for name, parameter in (document.get("Parameters") or {}).items():
            self.names[name] = parameters.get(name, parameter.get("Default", ""))
        self.resolver = Resolver(
            self.names,
            self.attribute,
            conditions=document.get("Conditions"),
            mappings=document.get("Mappings"),
        )
        # An alias stands for its key, so it comes when the keys have their ids.
        for aliases in (False, True):
            for logical, resource in self._resources.items():
                if (resource.get("Type") == _ALIAS) is aliases:
                    self.names[logical] = self._physical_id(logical, resource)

    def of_type(self, *kinds: str) -> dict[str, dict[str, Any]]:
        """Return logical id → properties of those resources whose condition holds."""
        return {
            logical: resource.get("Properties") or {}
            for logical, resource in self._resources.items()
            if resource.get("Type") in kinds and self.resolver.holds(resource.get("Condition"))
        }

    def physical_ids(self, kind: str) -> dict[str, str]:
        """Return logical id → what `Ref` gives, of that type."""
        return {logical: str(self.names[logical]) for logical in self.of_type(kind)}

    @property
    def buckets(self) -> dict[str, str]:
        """Names of the S3 buckets."""
        return self.physical_ids(_BUCKET)

    @property
    def keys(self) -> dict[str, str]:
        """Ids of the KMS keys."""
        return self.physical_ids(_KEY)

    @property
    def secrets(self) -> dict[str, str]:
        """ARNs of the secrets."""
        return self.physical_ids(_SECRET)

    def attribute(self, logical: str, attribute: str) -> str:
        """Return what Fn::GetAtt gives; raises BrokenTemplate for an unknown resource."""
        if logical not in self._resources:
            raise BrokenTemplate(f"the template asks for {logical}.{attribute} without {logical}")
        identity = str(self.names[logical])
        kind = self._resources[logical].get("Type")
        if attribute == "Arn":
            if kind in FUNCTION_TYPES:
                return f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:{identity}"
            if kind == _BUCKET:
                return f"arn:aws:s3:::{identity}"
            if kind == _KEY:
                return f"arn:aws:kms:{REGION}:{ACCOUNT}:key/{identity}"
        return identity if identity.startswith("arn:") else f"{identity}.{attribute}"

    def _physical_id(self, logical: str, resource: dict[str, Any]) -> str:
        kind = str(resource.get("Type"))
        properties = resource.get("Properties") or {}
        if kind == _KEY:
            return str(uuid.uuid5(uuid.NAMESPACE_URL, f"{STACK}/{logical}"))
        if kind == _ALIAS:
            return str(self.resolver.resolve(properties["TargetKeyId"]))
        given = properties.get(_NAME_PROPERTY.get(kind, ""))
        name = f"{STACK}-{logical}" if given is None else str(self.resolver.resolve(given))
        if kind == _SECRET:
            return secret_arn(name)
        return name.lower() if kind == _BUCKET else name


def secret_arn(name: str) -> str:
    """Return the ARN of the secret; AWS adds six characters to the name, here they are its own."""
    suffix = hashlib.sha256(name.encode()).hexdigest()[:6]
    return f"arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:{name}-{suffix}"
