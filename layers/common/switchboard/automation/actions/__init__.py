"""Actions of automation rules, one module each, exposing `KIND`; `_kind` holds the contract."""
