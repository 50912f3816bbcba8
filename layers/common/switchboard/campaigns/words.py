"""Why a campaign is paused, in words that tell a person what to do."""

from __future__ import annotations

BY_HAND = "by_hand"
FAILURE_SHARE = "failure_share"
SPENDING_CAP = "spending_cap"
TEMPLATE_PAUSED = "template_paused"
TEMPLATE_UNUSABLE = "template_unusable"
TEMPLATE_CHANGED = "template_changed"
NUMBER_QUALITY = "number_quality"
NUMBER_UNUSABLE = "number_unusable"
LIST_GONE = "list_gone"

SENTENCES = {
    BY_HAND: "Somebody paused it; resume it when you are ready.",
    FAILURE_SHARE: (
        "Too many of its messages failed. Look at the reasons, mend what they name, then resume it:"
        " what failed before counts no more. retry-failed sends those again."
    ),
    SPENDING_CAP: "Its estimated cost has reached its cap. Raise spending_cap, then resume it.",
    TEMPLATE_PAUSED: (
        "Meta has paused the template because of its quality. Resume the campaign when Meta"
        " approves the template again."
    ),
    TEMPLATE_UNUSABLE: (
        "Meta does not approve the template (any more). Have it approved at Meta and resume the"
        " campaign, or cancel it and make another one with an approved template."
    ),
    TEMPLATE_CHANGED: (
        "The template was edited, and the campaign's values do not fit it any more. Change it back"
        " at Meta and resume the campaign, or cancel it and make another one."
    ),
    NUMBER_QUALITY: (
        "Meta rates the number's quality as low: people block or report it. Write to fewer people,"
        " and resume it when the rating is better."
    ),
    NUMBER_UNUSABLE: (
        "The number cannot send: it is disabled, disconnected or has no access token. Connect it"
        " again, then resume the campaign."
    ),
    LIST_GONE: (
        "Its list was deleted before it began. Give it another audience and schedule it anew."
    ),
}
#: Denials that were nobody's wish: `retry` takes those up as well.
MENDABLE = (
    "tenant_inactive",
    "number_inactive",
    "number_disconnected",
    "number_suspended",
    "token_missing",
    "template_rejected",
    "template_disabled",
    "template_deleted",
    "template_pending_deletion",
    "template_archived",
    "template_limit_exceeded",
    "template_pending",
    "template_in_appeal",
    "template_unavailable",
)
