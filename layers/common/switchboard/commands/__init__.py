"""What staff do by command: `python -m switchboard <resource> <verb> --tenant …`.

One module per resource, exposing `KIND`; the folder is the list. They run the same use cases as the
routes of /v1, as the functions' role: whoever runs them has the database's password.
"""

from switchboard.commands._resource import (
    RESOURCES,
    Command,
    Resource,
    app_tools,
    read_arguments,
    run,
)

__all__ = ["RESOURCES", "Command", "Resource", "app_tools", "read_arguments", "run"]
