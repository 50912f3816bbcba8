"""What the local run says when it is ready."""

from __future__ import annotations

from local.demo import NUMBERS
from local.greeting import GUEST


def banner(values: dict[str, str], folder: str) -> str:
    """Return the addresses, the demo's numbers and a command that sends a message."""
    rows = []
    for position, number in enumerate(NUMBERS, start=1):
        suffix = "" if position == 1 else f"_{position}"
        rows.append(
            f"    +{number.display_phone_number}  {number.verified_name:<20} "
            f"id {values[f'PHONE_NUMBER_ID{suffix}']}  tenant {number.tenant}"
        )
    body = (
        f'{{"from": "{values["PHONE_NUMBER_ID"]}", "to": "{GUEST}", '
        '"message": {"type": "text", "text": {"body": "Hello from Switchboard"}}}'
    )
    line = "─" * 88
    return "\n".join(
        [
            "",
            line,
            "  Switchboard is running. Ctrl-C stops it; a second start finds everything again.",
            "",
            f"  Phone      {values['SIMULATOR_URL']}   open it, pick a contact, type",
            f"  API        {values['API_URL']}",
            f"  Values     {folder}/env   logs in {folder}/logs",
            "",
            "  Numbers",
            *rows,
            "",
            f"  +{GUEST} has just written to the first of them. Answer, and see it on the phone:",
            "",
            f"  curl -sS {values['API_URL']}/v1/messages \\",
            f"    -H 'Authorization: Bearer {values['API_KEY']}' \\",
            "    -H 'Content-Type: application/json' \\",
            f"    -d '{body}'",
            line,
            "",
        ]
    )
