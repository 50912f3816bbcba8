"""docs/api/openapi.yaml, made of the routes, their models and what they answer.

`python -m tests.api_document` writes it; a test holds it against the code.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import yaml
from pydantic import BaseModel, TypeAdapter
from pydantic.json_schema import GenerateJsonSchema

from functions.manage import app as manage
from functions.send_message import app as send_message
from switchboard.access import SCOPES
from switchboard.accounts import (
    blocks,
    callbacks,
    calls,
    flows,
    numbers,
    outgoing_calls,
    profiles,
    public_keys,
    template_preview,
    template_sync,
    templates,
    uploads,
)
from switchboard.automation import endpoints, rehearsal, rules
from switchboard.campaigns import control, costs, drafts, people
from switchboard.campaigns.audience import counts, lists
from switchboard.campaigns.audience import members as list_members
from switchboard.facts import bookings, trips
from switchboard.inbox import (
    account_events,
    catalog,
    consents,
    contacts,
    conversations,
    flow_sessions,
    jobs,
    links,
    media,
    messages,
    preference_links,
    preferences,
    subscriptions,
    verifications,
)
from switchboard.intake import asked, letters
from switchboard.kernel.page import Paged
from switchboard.mail import look
from switchboard.mail import templates as email_templates
from switchboard.outbox.request import SendRequest
from switchboard.prices import table
from switchboard.store.account_events import AccountEvent
from switchboard.store.agent_endpoints import AgentEndpoint
from switchboard.store.automations import Rule, Run
from switchboard.store.calls import Call
from switchboard.store.campaigns import Campaign
from switchboard.store.catalog import Product
from switchboard.store.consents import Consent
from switchboard.store.contact_lists import ContactList
from switchboard.store.contact_lists import Member as ListMember
from switchboard.store.contacts import Contact
from switchboard.store.conversations import Conversation
from switchboard.store.email_templates import EmailTemplate
from switchboard.store.emails import Email, Suppression, WholeEmail
from switchboard.store.facts import Booking, Trip
from switchboard.store.flow_sessions import FlowSession
from switchboard.store.flows import Flow
from switchboard.store.jobs_by_hand import ScheduledJob
from switchboard.store.letters import Letter
from switchboard.store.links import Link
from switchboard.store.messages import Media, Message
from switchboard.store.numbers import BusinessNumber
from switchboard.store.prices import Price
from switchboard.store.recipients import Recipient
from switchboard.store.subscriptions import Delivery, Subscription
from switchboard.store.templates import Template
from switchboard.whatsapp.flows import Preview

PATH = Path(__file__).parents[1] / "docs" / "api" / "openapi.yaml"
Json = dict[str, Any]


class Operation(NamedTuple):
    """What a route takes and answers: a component's name, `…[]` for a page of it."""

    summary: str
    answers: str
    query: type[BaseModel] | None = None
    body: type[BaseModel] | None = None
    status: int = 200


_CALL = "/v1/calls/{id}"
_CONVERSATION = "/v1/conversations/{id}"
_AGENT = "/v1/agent-endpoints/{id}"
_EMAIL_TEMPLATE = "/v1/email-templates/{id}"
_BOOKING, _TRIP = "/v1/bookings/{external_id}", "/v1/trips/{external_id}"
_FLOW = "/v1/flows/{id}"
_CAMPAIGN = "/v1/campaigns/{id}"
_LIST = "/v1/lists/{id}"
_NUMBER = "/v1/numbers/{id}"
_PREFERENCES = "/v1/contacts/{id}/preferences"
_WABA_CALLBACK = "/v1/accounts/{id}/callback"
_RULE = "/v1/rules/{id}"
_SUBSCRIPTION = "/v1/subscriptions/{id}"
_TEMPLATE = "/v1/templates/{id}"


def _verb(summary: str, body: type[BaseModel] | None = None) -> Operation:
    return Operation(summary, "Conversation", body=body)


OPERATIONS: dict[str, Operation] = {
    "POST /v1/messages": Operation(
        "Send a message, or only decide it (dry_run=true)",
        "Answer",
        body=SendRequest,
    ),
    "POST /v1/messages/batch": Operation(
        "Decide and store up to 1,000 messages, and send what fits in 10 s; each is answered in its"
        " place",
        "BatchAnswer",
        status=202,
    ),
    "GET /v1/messages/{id}": Operation("Show what became of a message", "Outcome"),
    "GET /v1/contacts": Operation(
        "List contacts in the order of their ids", "Contact[]", contacts.ContactFilter
    ),
    "GET /v1/contacts/{id}": Operation(
        "Show a contact; of a merged one the root, the id asked for as merged_from", "Contact"
    ),
    "PATCH /v1/contacts/{id}": Operation(
        "Change the members that are given; null clears", "Contact", body=contacts.ContactChange
    ),
    f"GET {_PREFERENCES}": Operation(
        "Show what a contact is told of, with the reason of each, quiet hours and time zone",
        "EffectivePreferences",
    ),
    f"PUT {_PREFERENCES}": Operation(
        "Replace what was decided; what is left out is not decided any more",
        "EffectivePreferences",
        body=preferences.Preferences,
    ),
    f"PATCH {_PREFERENCES}": Operation(
        "Change the members that are given; null takes a decision back",
        "EffectivePreferences",
        body=preferences.PreferencesChange,
    ),
    f"POST {_PREFERENCES}/link": Operation(
        "Make a link to the contact's own page, to be sent to nobody else",
        "PreferencesLink",
        body=preference_links.NewLink,
        status=201,
    ),
    f"DELETE {_PREFERENCES}/link": Operation(
        "End every link to it that was made so far", "PreferencesRevoked"
    ),
    "GET /v1/consents": Operation(
        "List what people have agreed to and taken back, the newest recorded first",
        "Consent[]",
        consents.ConsentFilter,
    ),
    "POST /v1/consents": Operation(
        "Record what a person said elsewhere; the opt-in state follows the newest statement",
        "Consent",
        body=consents.NewConsent,
    ),
    "POST /v1/consents/batch": Operation(
        "Record up to 1,000 statements; a wrong one costs itself alone",
        "ConsentResults",
        body=consents.ConsentBatch,
    ),
    "GET /v1/conversations": Operation(
        "List conversations, the newest message first",
        "Conversation[]",
        conversations.ConversationFilter,
    ),
    f"GET {_CONVERSATION}": Operation("Show a conversation", "Conversation"),
    f"GET {_CONVERSATION}/messages": Operation(
        "List its messages, both directions", "Message[]", messages.ThreadFilter
    ),
    f"PATCH {_CONVERSATION}": _verb("Change priority and pin", conversations.ConversationChange),
    f"POST {_CONVERSATION}/assign": _verb(
        "Give it to an active user, or to nobody", conversations.Assignment
    ),
    f"POST {_CONVERSATION}/tags": _verb("Add tags and take them away", conversations.TagChange),
    f"POST {_CONVERSATION}/close": _verb("Close it; the person's next message opens it again"),
    f"POST {_CONVERSATION}/resolve": _verb("From open or pending to resolved"),
    f"POST {_CONVERSATION}/pending": _verb("From open to pending"),
    f"POST {_CONVERSATION}/reopen": _verb("Open it again"),
    f"POST {_CONVERSATION}/spam": _verb("Call it spam"),
    f"POST {_CONVERSATION}/archive": _verb("Put it away"),
    f"POST {_CONVERSATION}/unarchive": _verb("Take it out again"),
    f"POST {_CONVERSATION}/read": Operation(
        "Mark all of it as read, here and at Meta", "Read", body=conversations.Reading
    ),
    f"POST {_CONVERSATION}/typing": Operation(
        "Show the person for 25 seconds that somebody writes; marks as read, too", "Read"
    ),
    "GET /v1/calls": Operation("List calls, the newest first", "Call[]", calls.CallFilter),
    "GET /v1/calls/permission": Operation(
        "Ask Meta whether a number may call a person",
        "CallPermission",
        outgoing_calls.PermissionWanted,
    ),
    f"GET {_CALL}": Operation(
        "Show a call, with the other side's session while it can still be taken", "Call"
    ),
    "POST /v1/calls": Operation(
        "Call a person; 202: nobody knows yet whether Meta took it",
        "Call",
        body=outgoing_calls.NewCall,
        status=201,
    ),
    f"POST {_CALL}/pre-accept": Operation(
        "Let the media of a person's call be set up before it is accepted",
        "Call",
        body=calls.Taking,
    ),
    f"POST {_CALL}/accept": Operation("Take a person's call", "Call", body=calls.Taking),
    f"POST {_CALL}/reject": Operation("Refuse a person's call", "Call"),
    f"POST {_CALL}/terminate": Operation("End a call; its webhook tells the end", "Call"),
    "GET /v1/blocks": Operation(
        "Ask Meta whom a number has blocked", "BlockedUser[]", blocks.BlockFilter
    ),
    "POST /v1/blocks": Operation(
        "Block people at Meta and here; each user's result tells",
        "BlockResults",
        body=blocks.BlockChange,
    ),
    "DELETE /v1/blocks": Operation(
        "Unblock people at Meta and here; each user's result tells",
        "BlockResults",
        body=blocks.BlockChange,
    ),
    "GET /v1/numbers": Operation(
        "List numbers in the order of their ids at Meta",
        "BusinessNumber[]",
        numbers.NumberFilter,
    ),
    f"GET {_NUMBER}": Operation("Show a number as Meta told it last", "BusinessNumber"),
    f"PATCH {_NUMBER}": Operation(
        "Change our settings of a number", "BusinessNumber", body=numbers.NumberChange
    ),
    f"POST {_NUMBER}/sync": Operation("Ask Meta what it knows of a number", "BusinessNumber"),
    f"GET {_NUMBER}/profile": Operation("Ask Meta for the business profile", "Profile"),
    f"POST {_NUMBER}/profile": Operation(
        "Change the business profile at Meta", "ProfileChanged", body=profiles.ProfileChange
    ),
    f"GET {_NUMBER}/callback": Operation(
        "Ask Meta where the number's webhooks of messages go", "NumberCallback"
    ),
    f"PUT {_NUMBER}/callback": Operation(
        "Let them go to another address; Meta shakes hands with it first",
        "CallbackSet",
        body=callbacks.Callback,
    ),
    f"DELETE {_NUMBER}/callback": Operation("Let them go where the account's go", "CallbackSet"),
    f"GET {_WABA_CALLBACK}": Operation(
        "Ask Meta where the account's webhooks of messages go", "AccountCallback"
    ),
    f"PUT {_WABA_CALLBACK}": Operation(
        "Let them go to another address; Meta shakes hands with it first",
        "CallbackSet",
        body=callbacks.Callback,
    ),
    f"DELETE {_WABA_CALLBACK}": Operation("Let them go to the app's own address", "CallbackSet"),
    "POST /v1/verifications": Operation(
        "Send a code that proves a number; it ends the person's earlier ones",
        "Started",
        body=verifications.NewVerification,
        status=201,
    ),
    "POST /v1/verifications/{id}/check": Operation(
        "Try the code that the person typed: five times at most",
        "Checked",
        body=verifications.CodeGiven,
    ),
    "GET /v1/links": Operation(
        "List tracked links with their taps, the newest first", "Link[]", links.LinkFilter
    ),
    "POST /v1/media": Operation(
        "Upload a file to Meta, once: with `from` in the address the body is the file"
        " (4.5 MB at most), without it JSON with the file's link (100 MB at most)",
        "UploadedFile",
        uploads.UploadWanted,
        uploads.LinkUpload,
        status=201,
    ),
    "DELETE /v1/media/uploads/{id}": Operation(
        "Delete an upload at Meta and here", "DeletedUpload"
    ),
    "GET /v1/media/{id}": Operation("Show what is known of a file", "Media"),
    "GET /v1/media/{id}/address": Operation(
        "Sign an address that reads the file for some minutes", "Address", media.AddressWanted
    ),
    "GET /v1/flows": Operation(
        "List flows as Meta answered last and its webhooks told since", "Flow[]", flows.FlowFilter
    ),
    "POST /v1/flows": Operation(
        "Make a flow at Meta; `validation_errors` tells what is wrong in its JSON",
        "Flow",
        body=flows.NewFlow,
        status=201,
    ),
    "POST /v1/flows/sync": Operation(
        "Ask Meta for all flows of a business account", "SyncedFlows", body=flows.FlowSync
    ),
    "GET /v1/flows/public-key": Operation(
        "Ask Meta for the key that a number's flows encrypt with", "PublicKey", public_keys.KeyOf
    ),
    "POST /v1/flows/public-key": Operation(
        "Set that key; the private one is never asked for",
        "PublicKey",
        public_keys.KeyOf,
        public_keys.NewPublicKey,
    ),
    f"GET {_FLOW}": Operation("Show a flow as it is known here", "Flow"),
    f"POST {_FLOW}": Operation(
        "Change name, categories, endpoint at Meta", "Flow", body=flows.FlowChange
    ),
    f"DELETE {_FLOW}": Operation("Delete a draft at Meta, and show it as it was", "Flow"),
    f"POST {_FLOW}/assets": Operation(
        "Replace a draft's screens; `validation_errors` tells what is wrong in them",
        "Flow",
        body=flows.FlowAsset,
    ),
    f"POST {_FLOW}/publish": Operation("Let a draft out", "Flow"),
    f"POST {_FLOW}/deprecate": Operation("Retire a flow that is out", "Flow"),
    f"GET {_FLOW}/preview": Operation(
        "Ask Meta where a flow can be tried in a browser", "FlowPreview"
    ),
    "GET /v1/flow-sessions": Operation(
        "List what was asked with flows and answered, the newest first",
        "FlowSession[]",
        flow_sessions.FlowSessionFilter,
    ),
    "GET /v1/flow-sessions/{id}": Operation("Show a flow session", "FlowSession"),
    "GET /v1/catalog/products": Operation(
        "List products by catalogue and id", "Product[]", catalog.ProductFilter
    ),
    "PUT /v1/catalog/products": Operation(
        "Write up to 1,000 products as they are from now on; a wrong one costs itself alone",
        "ProductResults",
        body=catalog.Products,
    ),
    "DELETE /v1/catalog/products": Operation(
        "Forget a product, and show it as it was", "Product", catalog.TheProduct
    ),
    "GET /v1/trips": Operation("List trips, the newest written first", "Trip[]", trips.TripFilter),
    f"GET {_TRIP}": Operation("Show a trip", "Trip"),
    f"PUT {_TRIP}": Operation(
        "Write a trip whole, unless what is known is newer", "TripWritten", body=trips.TripState
    ),
    f"DELETE {_TRIP}": Operation("Forget a trip, and show it as it was; its bookings stay", "Trip"),
    "POST /v1/trips/bulk": Operation(
        "Write up to 1,000 trips; a wrong one costs itself alone", "FactResults", body=trips.Trips
    ),
    "GET /v1/bookings": Operation(
        "List bookings, the newest written first", "Booking[]", bookings.BookingFilter
    ),
    f"GET {_BOOKING}": Operation("Show a booking", "Booking"),
    f"PUT {_BOOKING}": Operation(
        "Write a booking whole, unless what is known is newer",
        "BookingWritten",
        body=bookings.BookingState,
    ),
    f"DELETE {_BOOKING}": Operation("Forget a booking, and show it as it was", "Booking"),
    "POST /v1/bookings/bulk": Operation(
        "Write up to 1,000 bookings; a wrong one costs itself alone",
        "FactResults",
        body=bookings.Bookings,
    ),
    "GET /v1/account-events": Operation(
        "List what Meta told about accounts, the newest received first",
        "AccountEvent[]",
        account_events.AccountEventFilter,
    ),
    "GET /v1/prices": Operation(
        "List rates by category, country, currency, day and volume", "Price[]", table.PriceFilter
    ),
    "PUT /v1/prices": Operation(
        "Make the cards that are named what is given, whole or not at all; as text/csv a file",
        "PricesImported",
        body=table.NewRates,
    ),
    "DELETE /v1/prices": Operation("Forget a card", "PriceCard", table.Card),
    "GET /v1/email-templates": Operation(
        "List templates of e-mails, the newest first", "EmailTemplate[]", Paged
    ),
    "POST /v1/email-templates": Operation(
        "Make a template of e-mails",
        "EmailTemplate",
        body=email_templates.NewEmailTemplate,
        status=201,
    ),
    f"GET {_EMAIL_TEMPLATE}": Operation("Show a template of e-mails", "EmailTemplate"),
    f"PATCH {_EMAIL_TEMPLATE}": Operation(
        "Change a template's texts; mails that wait stay as they are",
        "EmailTemplate",
        body=email_templates.EmailTemplateChange,
    ),
    f"DELETE {_EMAIL_TEMPLATE}": Operation(
        "Forget a template of e-mails; rules that name it fail", "EmailTemplate"
    ),
    "GET /v1/emails": Operation("List e-mails, the newest first", "Email[]", look.EmailFilter),
    "GET /v1/emails/{id}": Operation(
        "Show an e-mail with its texts, its verdicts and what SES told of it", "WholeEmail"
    ),
    "GET /v1/email-suppressions": Operation(
        "List addresses that get no e-mail any more", "Suppression[]", Paged
    ),
    "DELETE /v1/email-suppressions/{id}": Operation(
        "Let an address get e-mails again", "Suppression", body=look.Lift
    ),
    "GET /v1/agent-endpoints": Operation("List the agents that automations ask", "AgentEndpoint[]"),
    "POST /v1/agent-endpoints": Operation(
        "Make an agent known; its secret is shown this once",
        "AgentSecret",
        body=endpoints.NewAgentEndpoint,
        status=201,
    ),
    f"GET {_AGENT}": Operation("Show an agent's endpoint", "AgentEndpoint"),
    f"PATCH {_AGENT}": Operation(
        "Change an agent's address", "AgentEndpoint", body=endpoints.AgentEndpointChange
    ),
    f"DELETE {_AGENT}": Operation("Forget an agent; rules that name it fail", "AgentEndpoint"),
    f"POST {_AGENT}/rotate": Operation(
        "Make a new secret, shown this once; the present one signs beside it for a day",
        "AgentSecret",
    ),
    "GET /v1/rules": Operation("List automation rules, the newest first", "Rule[]", Paged),
    "POST /v1/rules": Operation(
        "Make an automation rule: what it is due for is planned with it",
        "Rule",
        body=rules.NewRule,
        status=201,
    ),
    "POST /v1/rules/dry-run": Operation(
        "Say what a rule would have done that is not made; nothing is written",
        "Rehearsal",
        body=rehearsal.NewRuleTried,
    ),
    f"POST {_RULE}/dry-run": Operation(
        "Say what it would have done in a past week; nothing is written",
        "Rehearsal",
        body=rehearsal.Stretch,
    ),
    f"GET {_RULE}": Operation("Show an automation rule", "Rule"),
    f"PATCH {_RULE}": Operation(
        "Change the members that are given; what it has run for it does not run for again",
        "Rule",
        body=rules.RuleChange,
    ),
    f"DELETE {_RULE}": Operation(
        "Forget an automation rule and its runs, and show it as it was", "Rule"
    ),
    f"GET {_RULE}/runs": Operation(
        "List what it started and let pass, with reasons, the newest first",
        "Run[]",
        rules.RunFilter,
    ),
    "GET /v1/subscriptions": Operation(
        f"List subscriptions: all of them, {subscriptions.MOST} at most", "Subscription[]"
    ),
    "POST /v1/subscriptions": Operation(
        "Tell an endpoint of new events; this answer alone shows its secret",
        "SubscriptionSecret",
        body=subscriptions.NewSubscription,
        status=201,
    ),
    f"GET {_SUBSCRIPTION}": Operation("Show a subscription", "Subscription"),
    f"GET {_SUBSCRIPTION}/deliveries": Operation(
        "List its deliveries with the result of each attempt, the newest first",
        "Delivery[]",
        subscriptions.DeliveryFilter,
    ),
    f"PATCH {_SUBSCRIPTION}": Operation(
        "Change address and kinds; what waits goes to the new address",
        "Subscription",
        body=subscriptions.SubscriptionChange,
    ),
    f"POST {_SUBSCRIPTION}/test": Operation(
        "Put in an event that says nothing; its delivery tells what came of it",
        "PutTest",
        status=202,
    ),
    f"POST {_SUBSCRIPTION}/rotate": Operation(
        "Make a new secret, which this answer alone shows; the present one signs for 24 hours more",
        "SubscriptionSecret",
    ),
    f"POST {_SUBSCRIPTION}/disable": Operation(
        "Tell the endpoint nothing from now on; what waits ends undelivered", "Subscription"
    ),
    f"POST {_SUBSCRIPTION}/enable": Operation("Tell it of new events again", "Subscription"),
    f"DELETE {_SUBSCRIPTION}": Operation(
        "Forget a subscription and show it as it was; what waits ends undelivered", "Subscription"
    ),
    "GET /v1/templates": Operation(
        "List templates by business account, name and language",
        "Template[]",
        templates.TemplateFilter,
    ),
    "POST /v1/templates": Operation(
        "Submit a template to Meta; `field` and `problems` name what it would refuse",
        "Template",
        body=templates.NewTemplate,
        status=201,
    ),
    "POST /v1/templates/sync": Operation(
        "Bring an account's templates from Meta; what takes long goes on in a job",
        "Synced",
        body=template_sync.SyncWanted,
        status=202,
    ),
    f"GET {_TEMPLATE}": Operation("Show a template as it is known here", "Template"),
    f"POST {_TEMPLATE}": Operation(
        "Change an approved, rejected or paused template at Meta, components as a whole",
        "Template",
        body=templates.TemplateChange,
    ),
    f"DELETE {_TEMPLATE}": Operation(
        "Delete it at Meta, in its language or in all, and show it as deleted",
        "Template",
        templates.Deletion,
    ),
    f"POST {_TEMPLATE}/unpause": Operation("End a pause that pacing made", "Template"),
    f"POST {_TEMPLATE}/preview": Operation(
        "Show what it looks like, filled in by a message or with its own examples",
        "TemplatePreview",
        body=template_preview.PreviewWanted,
    ),
    "GET /v1/lists": Operation("List lists, the newest first", "ContactList[]", lists.ListFilter),
    "POST /v1/lists": Operation(
        "Make a list of people", "ContactList", body=lists.NewList, status=201
    ),
    f"GET {_LIST}": Operation("Show a list with the number of its members", "ContactList"),
    f"DELETE {_LIST}": Operation("Forget a list and show it as it was", "ContactList"),
    f"GET {_LIST}/members": Operation(
        "List who is on it, in the order of their ids", "ListMember[]", lists.MemberFilter
    ),
    f"POST {_LIST}/members": Operation(
        "Put people on it; a wrong one costs itself alone. As text/csv a file of 100,000 lines"
        " (4.5 MB) at most",
        "Imported",
        body=lists.NewMembers,
    ),
    f"DELETE {_LIST}/members": Operation(
        "Take people off it; who is not on it is not counted", "MembersRemoved", body=lists.Leaving
    ),
    "GET /v1/campaigns": Operation(
        "List campaigns, the newest first", "Campaign[]", drafts.CampaignFilter
    ),
    "POST /v1/campaigns": Operation(
        "Make a campaign as a draft: nothing goes out yet",
        "CampaignShown",
        body=drafts.NewCampaign,
        status=201,
    ),
    f"GET {_CAMPAIGN}": Operation("Show a campaign with its progress", "CampaignShown"),
    f"PATCH {_CAMPAIGN}": Operation(
        "Change a campaign; after it began its description and limits alone",
        "CampaignShown",
        body=drafts.CampaignChange,
    ),
    f"POST {_CAMPAIGN}/schedule": Operation(
        "Let a draft begin at its time", "CampaignShown", body=control.CampaignSchedule
    ),
    f"POST {_CAMPAIGN}/start": Operation("Let a draft begin now", "CampaignShown"),
    f"POST {_CAMPAIGN}/pause": Operation(
        "Pause a campaign: what is under way to Meta goes out, nothing else",
        "CampaignShown",
        body=control.CampaignPause,
    ),
    f"POST {_CAMPAIGN}/resume": Operation(
        "Let a paused campaign go on where it was; nobody gets a second message", "CampaignShown"
    ),
    f"POST {_CAMPAIGN}/cancel": Operation(
        "End a campaign for good; what waits is cancelled", "CampaignShown"
    ),
    f"POST {_CAMPAIGN}/retry-failed": Operation(
        "Send again what has failed; nothing whose outcome is unknown", "Retried", status=202
    ),
    f"GET {_CAMPAIGN}/recipients": Operation(
        "List its recipients in the order of their turns",
        "Recipient[]",
        people.RecipientFilter,
    ),
    f"GET {_CAMPAIGN}/cost": Operation(
        "Show what it will cost and what it has cost, by the tenant's prices", "CampaignCost"
    ),
    f"POST {_CAMPAIGN}/preview": Operation(
        "Show what one person would get, and what the sending policy says; nothing is sent",
        "CampaignPreview",
        body=people.PreviewFor,
    ),
    "POST /v1/audiences/count": Operation(
        "Count the contacts of an audience; 503 where it takes longer than 15 s",
        "Count",
        body=counts.CountWanted,
    ),
    "GET /v1/jobs": Operation("List jobs, the newest first", "ScheduledJob[]", jobs.JobFilter),
    "GET /v1/jobs/{id}": Operation("Show a job with its result", "ScheduledJob"),
    "POST /v1/jobs/{id}/cancel": Operation(
        "Cancel a job that waits or runs; a running one writes nothing more", "ScheduledJob"
    ),
    "POST /v1/jobs/{id}/retry": Operation(
        "Let a failed or cancelled job run again, now and with all its attempts", "ScheduledJob"
    ),
    "POST /v1/jobs/{id}/snooze": Operation(
        "Put a pending job off, and with it those behind it in its lane",
        "ScheduledJob",
        body=jobs.Snoozed,
    ),
    "GET /v1/dead-letters": Operation(
        "List what could not be processed, the newest first", "Letter[]", letters.LetterFilter
    ),
    "GET /v1/dead-letters/{id}": Operation("Show a letter with its body", "WholeLetter"),
    "POST /v1/dead-letters/{id}/replay": Operation("Take it through intake now", "Letter"),
    "POST /v1/dead-letters/replay": Operation(
        "Put in the job that replays all that are chosen",
        "Job",
        body=asked.LetterSelection,
        status=202,
    ),
}

#: Paths whose id is Meta's.
_METAS = (
    "/v1/flows/",
    "/v1/numbers/",
    "/v1/accounts/",
    "/v1/media/uploads/",
)
#: Routes that name a number, an account, a person or a product elsewhere than in the path.
_NAMING = {
    "POST /v1/campaigns",
    "POST /v1/calls",
    "GET /v1/calls/permission",
    "DELETE /v1/catalog/products",
    "DELETE /v1/prices",
    "POST /v1/consents",
    "POST /v1/flows",
    "POST /v1/flows/sync",
    *(f"{method} /v1/flows/public-key" for method in ("GET", "POST")),
    "POST /v1/media",
    "POST /v1/rules",
    "POST /v1/rules/dry-run",
    "POST /v1/templates",
    "POST /v1/templates/sync",
    "POST /v1/verifications",
    *(f"{method} /v1/blocks" for method in ("GET", "POST", "DELETE")),
}
#: Routes that something that exists may stand in the way of.
_CONFLICTS = {
    f"DELETE {_FLOW}",
    "POST /v1/agent-endpoints",
    "POST /v1/email-templates",
    "PATCH /v1/contacts/{id}",
    f"PATCH {_CAMPAIGN}",
    *(
        f"POST {_CAMPAIGN}/{verb}"
        for verb in ("schedule", "start", "pause", "resume", "cancel", "retry-failed")
    ),
    "POST /v1/lists",
    "POST /v1/subscriptions",
    f"POST {_SUBSCRIPTION}/test",
    *(f"POST /v1/jobs/{{id}}/{verb}" for verb in ("cancel", "retry", "snooze")),
    f"POST {_TEMPLATE}",
    f"POST {_TEMPLATE}/unpause",
    f"DELETE {_TEMPLATE}",
    f"POST {_CONVERSATION}/typing",
    *(f"POST {_CALL}/{verb}" for verb in ("pre-accept", "accept", "reject", "terminate")),
}
#: Routes that ask Meta, and tell what it answered.
_ASKED = {
    f"POST {_NUMBER}/sync",
    "POST /v1/media",
    "POST /v1/templates",
    "POST /v1/templates/sync",
    f"POST {_TEMPLATE}",
    f"DELETE {_TEMPLATE}",
    f"POST {_TEMPLATE}/unpause",
    "POST /v1/flows",
    "POST /v1/flows/sync",
    *(f"{method} /v1/flows/public-key" for method in ("GET", "POST")),
    *(f"{method} {_FLOW}" for method in ("POST", "DELETE")),
    *(f"POST {_FLOW}/{verb}" for verb in ("assets", "publish", "deprecate")),
    f"GET {_FLOW}/preview",
    "DELETE /v1/media/uploads/{id}",
    *(f"{method} /v1/blocks" for method in ("GET", "POST", "DELETE")),
    *(f"{method} {_NUMBER}/profile" for method in ("GET", "POST")),
    *(f"{method} {_NUMBER}/callback" for method in ("GET", "PUT", "DELETE")),
    *(f"{method} {_WABA_CALLBACK}" for method in ("GET", "PUT", "DELETE")),
}
_TIME = {"type": "string", "format": "date-time"}
_PROBLEMS = {
    400: "A body or parameter that cannot be read; `field` names it",
    401: "No key, or one that is unknown, revoked or expired",
    403: "The key lacks the scope",
    404: "Not known, or another tenant's",
    409: "In the way of something that exists",
    413: "The body is too large",
    422: "A member that is unknown or beyond its limits; `field` names it",
    429: "Too many within a time; Retry-After says how long to wait",
    502: "Meta refused the message",
    503: "The database is away; Retry-After says how long to wait",
    504: "Meta gave no clear answer: it may have been done",
}


def routes() -> dict[str, str]:
    """Return each route of /v1 with the scope that it asks for."""
    found = dict.fromkeys(send_message.ROUTES, "messages:send")
    found["GET /v1/messages/{id}"] = "messages:read"
    for resource in manage.RESOURCES:
        found |= {route: guard.scope for route, guard in manage.routes(resource).items()}
    return found


def document() -> Json:
    """Return the OpenAPI document; raises KeyError for a route that OPERATIONS does not tell."""
    paths: Json = {}
    for route, scope in routes().items():
        method, path = route.split(" ")
        paths.setdefault(path, {})[method.lower()] = _operation(route, scope, OPERATIONS[route])
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Switchboard",
            "version": "1",
            "license": {"name": "MIT", "identifier": "MIT"},
            "description": (
                "The HTTP interface for services inside. Every list is a page: "
                '`{"data": […], "next_cursor": …}`; a page may hold fewer rows than `limit`, even'
                " none, and null for `next_cursor` ends the list. A cursor belongs to its filters."
                " Errors are RFC 9457 problem details. The same routes stand under /iam/v1 where a"
                " stack has them, with the key in X-Api-Key."
            ),
        },
        "security": [{"key": []}],
        "paths": paths,
        "components": {
            "securitySchemes": {
                "key": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "\n".join(
                        [
                            "An API key (`python -m switchboard admin key create`). Scopes:",
                            *(f"- `{name}`: {what}" for name, what in SCOPES.items()),
                        ]
                    ),
                }
            },
            "responses": {f"Problem{status}": _problem(what) for status, what in _PROBLEMS.items()},
            "schemas": _schemas(),
        },
    }


def written() -> str:
    """Return the document as it stands in docs."""
    return "# Written by `python -m tests.api_document`.\n" + yaml.safe_dump(
        document(), sort_keys=False, allow_unicode=True, width=110
    )


def _operation(route: str, scope: str, told: Operation) -> Json:
    method, path = route.split(" ")
    made: Json = {
        "operationId": _name(method, path),
        "summary": told.summary,
        "description": f"Scope: `{scope}`.",
        "x-scope": scope,
    }
    parameters: list[Json] = []
    if "{id}" in path:
        kind = {"type": "string"} if path.startswith(_METAS) else _format("uuid")
        if path.startswith("/v1/jobs/"):
            kind = {"type": "integer"}
        parameters.append({"name": "id", "in": "path", "required": True, "schema": kind})
    if "{external_id}" in path:
        schema = {"type": "string", "minLength": 1, "maxLength": 200}
        parameters.append({"name": "external_id", "in": "path", "required": True, "schema": schema})
    if told.query is not None:
        parameters += [_parameter(name, one) for name, one in _members(told.query).items()]
    if route == "POST /v1/messages":
        parameters += [
            {"name": "dry_run", "in": "query", "schema": {"type": "boolean"}},
            {"name": "Idempotency-Key", "in": "header", "schema": {"type": "string"}},
        ]
    if parameters:
        made["parameters"] = parameters
    if told.body is not None:
        schema = {"$ref": f"#/components/schemas/{told.body.__name__}"}
        made["requestBody"] = {"content": {"application/json": {"schema": schema}}}
    if route in {f"POST {_LIST}/members", "PUT /v1/prices"}:
        made["requestBody"]["content"]["text/csv"] = {"schema": {"type": "string"}}
    if route == "POST /v1/messages/batch":
        made["requestBody"] = {"content": {"application/json": {"schema": _ref("SendBatch")}}}
    answer = _page(told.answers[:-2]) if told.answers.endswith("[]") else _ref(told.answers)
    done = {"description": "Done", "content": {"application/json": {"schema": answer}}}
    waits = {"202": {**done, "description": "It waits, or its fate is open"}}
    made["responses"] = {
        str(told.status): done,
        **(waits if route == "POST /v1/messages" else {}),
        **{
            str(status): {"$ref": f"#/components/responses/Problem{status}"}
            for status in _statuses(route)
        },
    }
    return made


def _statuses(route: str) -> list[int]:
    if route == "POST /v1/messages":
        return [status for status in _PROBLEMS if status != 504]
    known = [400, 401, 403, 503]
    if "id}" in route or route in _NAMING:
        known.append(404)
    if not route.startswith("GET"):
        known += [413, 422]
    if route == "POST /v1/verifications":
        known += [429, 502]
    if route in _CONFLICTS:
        known.append(409)
    if route in _ASKED:
        known += [502, 504]
    if "/calls" in route and (not route.startswith("GET") or route.endswith("/permission")):
        known.append(502)
    return sorted(known)


def _schemas() -> Json:
    bodies = {one.body for one in OPERATIONS.values() if one.body is not None}
    made: Json = {model.__name__: _clean(_inlined(model)) for model in bodies}
    for name in (
        "ContactChange",
        "ConversationChange",
        "SubscriptionChange",
        "TemplateChange",
        "NumberChange",
        "PreferencesChange",
        "CampaignChange",
    ):
        # What is left out stays as it is: there is no default.
        for member in made[name]["properties"].values():
            member.pop("default", None)
    shown: dict[str, type[Any]] = {
        "AccountEvent": AccountEvent,
        "Booking": Booking,
        "Call": Call,
        "Campaign": Campaign,
        "CampaignCost": costs.CampaignCost,
        "CampaignPreview": people.Preview,
        "CampaignShown": drafts.Shown,
        "CallPermission": outgoing_calls.CallPermission,
        "Consent": Consent,
        "Contact": Contact,
        "ContactList": ContactList,
        "Conversation": Conversation,
        "Count": counts.Count,
        "Imported": list_members.Imported,
        "ListMember": ListMember,
        "MembersRemoved": lists.Left,
        "Recipient": Recipient,
        "Retried": control.Retried,
        "Flow": Flow,
        "FlowPreview": Preview,
        "FlowSession": FlowSession,
        "BusinessNumber": BusinessNumber,
        "UploadedFile": uploads.UploadedFile,
        "DeletedUpload": uploads.DeletedUpload,
        "BlockedUser": blocks.BlockedUser,
        "BlockResults": blocks.BlockResults,
        "EffectivePreferences": preferences.Effective,
        "PreferencesLink": preference_links.PageLink,
        "PreferencesRevoked": preference_links.Revoked,
        "Profile": profiles.Profile,
        "ProfileChanged": profiles.ProfileChanged,
        "NumberCallback": callbacks.NumberCallback,
        "AccountCallback": callbacks.AccountCallback,
        "CallbackSet": callbacks.CallbackSet,
        "Price": Price,
        "PriceCard": table.CardRates,
        "PricesImported": table.Imported,
        "Product": Product,
        "PublicKey": public_keys.PublicKey,
        "SyncedFlows": flows.Synced,
        "Media": Media,
        "Letter": Letter,
        "ScheduledJob": ScheduledJob,
        "Link": Link,
        "Checked": verifications.Checked,
        "Address": media.Address,
        "AgentEndpoint": AgentEndpoint,
        "Email": Email,
        "EmailTemplate": EmailTemplate,
        "Suppression": Suppression,
        "WholeEmail": WholeEmail,
        "Rehearsal": rehearsal.Rehearsal,
        "Rule": Rule,
        "Run": Run,
        "Subscription": Subscription,
        "Delivery": Delivery,
        "PutTest": subscriptions.PutTest,
        "Template": Template,
        "Trip": Trip,
        "Synced": template_sync.Synced,
        "TemplatePreview": template_preview.TemplatePreview,
    }
    for name, kind in shown.items():
        made[name] = _clean(_spelled_out(kind))
    message = _clean(
        TypeAdapter(Message).json_schema(
            schema_generator=_Answered, ref_template="#/components/schemas/{model}"
        )
    )
    made |= message.pop("$defs")
    times = ("accepted_at", "sent_at", "delivered_at", "read_at", "played_at", "failed_at")
    for name in times:
        del message["properties"][name]
        message["required"].remove(name)
    message["properties"]["timestamps"] = {
        "type": "object",
        "description": "Those that are known",
        "properties": dict.fromkeys(times, _TIME),
    }
    made["Reaction"]["description"] = (
        "What a contact, or the business (outbound), has put under the message"
    )
    message["properties"]["decision"] = {
        "type": ["object", "null"],
        "description": "The policy's latest verdict",
    }
    made["Message"] = message
    made["WholeLetter"] = {
        "allOf": [
            _ref("Letter"),
            {
                "type": "object",
                "description": "Its body as text, or as base64 where it is none or long",
                "properties": {
                    "text": {"type": ["string", "null"]},
                    "base64": {"type": ["string", "null"]},
                },
            },
        ]
    }
    made["SubscriptionSecret"] = {
        "type": "object",
        "properties": {
            "secret": {"type": "string", "description": "whsec_ and base64: signs what is told"},
            "subscription": _ref("Subscription"),
        },
    }
    made["AgentSecret"] = {
        "type": "object",
        "properties": {
            "secret": {"type": "string", "description": "whsec_ and base64: signs what is asked"},
            "endpoint": _ref("AgentEndpoint"),
        },
    }
    made["Read"] = {
        "type": "object",
        "properties": {
            "conversation": _ref("Conversation"),
            "receipt": {"enum": ["taken", "not_taken", "not_needed"]},
        },
    }
    made["Started"] = {
        "type": "object",
        "properties": {
            "id": _format("uuid"),
            "status": {"enum": ["pending"]},
            "expires_at": _TIME,
            "message": {**_ref("Answer"), "description": "What became of the message"},
        },
    }
    made["ConsentResults"] = {
        "type": "object",
        "properties": {
            "results": {
                "type": "array",
                "description": "In the order of the batch, each a Consent or a problem",
                "items": {
                    "type": "object",
                    "properties": {"status_code": {"enum": [200, 404, 422]}},
                },
            }
        },
    }
    new_facts: dict[str, type[BaseModel]] = {"Trip": trips.NewTrip, "Booking": bookings.NewBooking}
    for name, new_fact in new_facts.items():
        made[f"New{name}"] = _clean(_inlined(new_fact))
        made[f"{name}s"]["properties"][f"{name.lower()}s"]["items"] = _ref(f"New{name}")
        made[f"{name}Written"] = {
            "type": "object",
            "properties": {
                "result": {"enum": ["created", "updated", "unchanged", "stale"]},
                name.lower(): _ref(name),
            },
        }
    made["FactResults"] = {
        "type": "object",
        "properties": {
            "results": {
                "type": "array",
                "description": "In the order of the request; what is refused is a problem, too",
                "items": {
                    "type": "object",
                    "required": ["external_id", "result", "status_code"],
                    "properties": {
                        "external_id": {"type": ["string", "null"]},
                        "result": {"enum": ["created", "updated", "unchanged", "stale", "refused"]},
                        "status_code": {"enum": [200, 400, 404, 422]},
                        "id": _format("uuid"),
                        "contact_id": _format("uuid"),
                        "as_of": _TIME,
                        "title": {"type": "string"},
                        "detail": {"type": "string"},
                        "field": {"type": "string"},
                    },
                },
            }
        },
    }
    made["ProductResults"] = {
        "type": "object",
        "properties": {
            "results": {
                "type": "array",
                "description": "In the order of the request, each a Product or a problem",
                "items": {
                    "type": "object",
                    "properties": {"status_code": {"enum": [200, 400, 422]}},
                },
            }
        },
    }
    made["Job"] = {
        "type": "object",
        "properties": {
            "job_id": {"type": ["integer", "null"], "description": "null: the same replay waits"}
        },
    }
    made["Answer"] = {
        "type": "object",
        "properties": {
            "id": _format("uuid"),
            "status": {"type": "string"},
            "wa_message_id": {"type": ["string", "null"]},
            "decision": {"type": ["object", "null"]},
        },
    }
    made["SendBatch"] = {
        "type": "object",
        "required": ["messages"],
        "additionalProperties": False,
        "properties": {
            "messages": {
                "type": "array",
                "minItems": 1,
                "maxItems": send_message.MOST,
                "items": _ref("SendRequest"),
            }
        },
    }
    made["BatchAnswer"] = {
        "type": "object",
        "required": ["messages"],
        "properties": {
            "messages": {
                "type": "array",
                "description": "One for each message, in order: its answer, or a problem",
                "items": {
                    "anyOf": [_ref("Answer"), _ref("Problem")],
                    "required": ["status_code"],
                    "properties": {
                        "status_code": {"type": "integer", "description": "HTTP status"}
                    },
                },
            }
        },
    }
    made["Outcome"] = {
        "type": "object",
        "description": "A message without its text: status, decisions, errors, timestamps",
    }
    made["Problem"] = {
        "type": "object",
        "required": ["type", "title", "status", "detail"],
        "properties": {
            "type": {"type": "string"},
            "title": {"type": "string"},
            "status": {"type": "integer"},
            "detail": {"type": "string"},
            "field": {"type": "string", "description": "The member or parameter that is wrong"},
        },
    }
    return dict(sorted(made.items()))


def _inlined(model: type[BaseModel]) -> Json:
    """Return the model's schema with the models of its members where they are used."""
    schema = model.model_json_schema()
    inner = schema.pop("$defs", {})

    def whole(node: Any) -> Any:
        if isinstance(node, list):
            return [whole(one) for one in node]
        if not isinstance(node, dict):
            return node
        named = inner.get(str(node.get("$ref", "")).rpartition("/")[2], {})
        return {name: whole(one) for name, one in {**node, **named}.items() if name != "$ref"}

    made: Json = whole(schema)
    return made


def _spelled_out(kind: type[Any]) -> Json:
    """Return an answer's schema with the kinds of its members where they are used."""
    schema = TypeAdapter(kind).json_schema(schema_generator=_Answered)
    inner = schema.pop("$defs", {})

    def whole(node: Any) -> Any:
        if isinstance(node, list):
            return [whole(one) for one in node]
        if not isinstance(node, dict):
            return node
        if "$ref" in node:
            return whole(inner[node["$ref"].rpartition("/")[2]])
        return {name: whole(one) for name, one in node.items()}

    made: Json = whole(schema)
    return made


class _Answered(GenerateJsonSchema):
    """Dataclasses are answers: every member is there, whatever its default."""

    def field_is_required(self, *_: Any, **__: Any) -> bool:
        return True


def _clean(schema: Any) -> Any:
    """Drop pydantic's titles and class docstrings, which say nothing to a caller."""
    if isinstance(schema, list):
        return [_clean(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    made = {}
    for name, one in schema.items():
        if name == "title" and isinstance(one, str):
            continue
        if name == "properties":
            made[name] = {inner: _clean(value) for inner, value in one.items()}
        elif not (name == "description" and "properties" in schema):
            made[name] = _clean(one)
    return made


def _members(model: type[BaseModel]) -> dict[str, Json]:
    schema = _clean(model.model_json_schema())
    members: dict[str, Json] = schema["properties"]
    return members


def _parameter(name: str, schema: Json) -> Json:
    told = {key: value for key, value in schema.items() if key != "description"}
    made: Json = {"name": name, "in": "query"}
    if "description" in schema:
        made["description"] = schema["description"]
    if told.get("type") == "array":
        made |= {"style": "form", "explode": False}
    return {**made, "schema": _not_null(told)}


def _not_null(schema: Json) -> Json:
    """Return the schema of what can be written into an address: a value, or nothing at all."""
    rest = [one for one in schema.get("anyOf", []) if one != {"type": "null"}]
    made = {k: v for k, v in schema.items() if k != "anyOf" and not (k == "default" and v is None)}
    return {**made, **rest[0]} if len(rest) == 1 else {**made, **({"anyOf": rest} if rest else {})}


def _name(method: str, path: str) -> str:
    words = [part.strip("{}") for part in path.split("/")[2:] if part != "{id}"]
    one = "_one" if path.endswith("{id}") else ""
    return f"{method.lower()}_{'_'.join(words)}{one}".replace("-", "_") + (
        "_by_id" if path.endswith(("/{id}/replay", "/{id}/dry-run")) else ""
    )


def _page(name: str) -> Json:
    return {
        "type": "object",
        "required": ["data", "next_cursor"],
        "properties": {
            "data": {"type": "array", "items": _ref(name)},
            "next_cursor": {"type": ["string", "null"]},
        },
    }


def _problem(what: str) -> Json:
    return {
        "description": what,
        "content": {"application/problem+json": {"schema": _ref("Problem")}},
    }


def _ref(name: str) -> Json:
    return {"$ref": f"#/components/schemas/{name}"}


def _format(name: str) -> Json:
    return {"type": "string", "format": name}


if __name__ == "__main__":
    PATH.parent.mkdir(exist_ok=True)
    PATH.write_text(written(), encoding="utf-8")
