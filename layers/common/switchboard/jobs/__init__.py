"""Job kinds, one module each, exposing `KIND`; `_kind` holds the contract."""
