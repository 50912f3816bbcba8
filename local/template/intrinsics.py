"""CloudFormation's YAML short forms and the functions that stand for a value (Ref, Fn::Sub, …).

Rules: the AWS CloudFormation user guide, "Intrinsic function reference".
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

import yaml

from local.faults import LocalError

#: The value of `Ref: AWS::NoValue`: a property that is as good as absent.
ABSENT = object()
_PLACEHOLDER = re.compile(r"\$\{(!?)([^}]+)\}")


class BrokenTemplate(LocalError):
    """The template asks for something that does not exist or that is not understood here."""


class _Loader(yaml.SafeLoader):
    """SafeLoader that knows the short forms."""


def _short_form(loader: yaml.SafeLoader, suffix: str, node: yaml.Node) -> dict[str, Any]:
    value: Any
    if isinstance(node, yaml.ScalarNode):
        value = loader.construct_scalar(node)
    elif isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    elif isinstance(node, yaml.MappingNode):
        value = loader.construct_mapping(node, deep=True)
    else:
        raise BrokenTemplate(f"the template has an odd !{suffix} tag")
    if suffix == "GetAtt" and isinstance(value, str):
        value = value.split(".", 1)
    return {suffix if suffix in {"Ref", "Condition"} else f"Fn::{suffix}": value}


_Loader.add_multi_constructor("!", _short_form)


def read_yaml(text: str) -> dict[str, Any]:
    """Parse a template; raises BrokenTemplate when it is not a YAML mapping."""
    try:
        # A SafeLoader with CloudFormation's tags added: nothing of Python can be built by it.
        document = yaml.load(text, Loader=_Loader)
    except yaml.YAMLError as error:
        raise BrokenTemplate(f"the template is not YAML: {error}") from error
    if not isinstance(document, dict):
        raise BrokenTemplate("the template is not a YAML mapping")
    return document


class Resolver:
    """Replaces intrinsic functions by values.

    `names` holds what `Ref` gives (parameters, resources, pseudo parameters), `attribute` what
    `Fn::GetAtt` gives for (logical id, attribute).
    """

    def __init__(
        self,
        names: Mapping[str, Any],
        attribute: Callable[[str, str], Any],
        *,
        conditions: Mapping[str, Any] | None = None,
        mappings: Mapping[str, Any] | None = None,
    ) -> None:
        self._names = names
        self._attribute = attribute
        self._conditions = conditions or {}
        self._mappings = mappings or {}
        self._functions: dict[str, Callable[[Any], Any]] = {
            "Ref": self._ref,
            "Condition": self.holds,
            "Fn::GetAtt": self._get_att,
            "Fn::Sub": self._sub,
            "Fn::If": self._if,
            "Fn::Join": lambda v: str(v[0]).join(str(part) for part in self.resolve(v[1])),
            "Fn::Select": lambda v: self.resolve(v[1])[int(self.resolve(v[0]))],
            "Fn::Split": lambda v: str(self.resolve(v[1])).split(str(v[0])),
            "Fn::FindInMap": self._find_in_map,
            "Fn::Equals": lambda v: self.resolve(v[0]) == self.resolve(v[1]),
            "Fn::Not": lambda v: not self.resolve(v[0]),
            "Fn::And": lambda v: all(self.resolve(part) for part in v),
            "Fn::Or": lambda v: any(self.resolve(part) for part in v),
        }

    def resolve(self, value: Any) -> Any:
        """Return `value` with every function in it replaced; raises BrokenTemplate."""
        if isinstance(value, dict):
            if len(value) == 1:
                ((key, inner),) = value.items()
                if key in self._functions:
                    return self._functions[key](inner)
                if key.startswith("Fn::"):
                    raise BrokenTemplate(f"the template uses {key}, which the local run cannot do")
            found = {key: self.resolve(inner) for key, inner in value.items()}
            return {key: inner for key, inner in found.items() if inner is not ABSENT}
        if isinstance(value, list):
            found_parts = [self.resolve(part) for part in value]
            return [part for part in found_parts if part is not ABSENT]
        return value

    def holds(self, condition: str | None) -> bool:
        """Tell whether the named condition is true; no name: true."""
        if condition is None:
            return True
        if condition not in self._conditions:
            raise BrokenTemplate(f"the template names a condition {condition} that it lacks")
        return bool(self.resolve(self._conditions[condition]))

    def _ref(self, name: str) -> Any:
        if name == "AWS::NoValue":
            return ABSENT
        if name not in self._names:
            raise BrokenTemplate(f"the template refers to {name}, which it does not define")
        return self._names[name]

    def _get_att(self, value: Any) -> Any:
        logical, attribute = value
        return self._attribute(str(logical), str(attribute))

    def _sub(self, value: Any) -> str:
        text, local = (value, {}) if isinstance(value, str) else (value[0], value[1])

        def replace(match: re.Match[str]) -> str:
            literal, name = match.groups()
            if literal:  # ${!x} stands for the text ${x}
                return "${" + name + "}"
            if name in local:
                return str(self.resolve(local[name]))
            if "." in name and name not in self._names:
                return str(self._attribute(*name.split(".", 1)))
            return str(self._ref(name))

        return _PLACEHOLDER.sub(replace, str(text))

    def _if(self, value: Any) -> Any:
        condition, yes, no = value
        return self.resolve(yes if self.holds(condition) else no)

    def _find_in_map(self, value: Any) -> Any:
        try:
            found: Any = self._mappings
            for key in value:
                found = found[self.resolve(key)]
        except (KeyError, TypeError):
            raise BrokenTemplate(f"the template's mapping {value} does not exist") from None
        return found
