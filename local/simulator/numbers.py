"""What Meta knows of each hosted number besides its name: standing, profile, override, block list.

Whatever is decided about a number is told by Meta's webhooks.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any

from local.simulator.archive import Archive
from local.simulator.config import BusinessNumber
from local.simulator.payloads import Update, account_update

Json = dict[str, Any]

QUALITIES = ("GREEN", "YELLOW", "RED", "UNKNOWN")
THROUGHPUTS = ("STANDARD", "HIGH", "NOT_APPLICABLE")
TIERS = ("TIER_250", "TIER_2K", "TIER_10K", "TIER_100K", "TIER_UNLIMITED")


@dataclass(slots=True)
class Standing:
    """One number's. `blocked` are people by id, the latest last; `override` is an address or ''."""

    quality: str = "GREEN"
    throughput: str = "STANDARD"
    tier: str = "TIER_2K"
    status: str = "CONNECTED"
    is_on_biz_app: bool = False
    profile: Json = field(default_factory=dict)
    override: str = ""
    blocked: list[str] = field(default_factory=list)


class Numbers:
    """All of them; `post` sends a webhook."""

    def __init__(
        self, archive: Archive, post: Callable[[Update], None], clock: Callable[[], float]
    ) -> None:
        self._archive = archive
        self._post = post
        self._clock = clock
        self._standings = {key: Standing(**one) for key, one in archive.documents("standing")}

    def of(self, number: BusinessNumber) -> Standing:
        """A number's standing; save what is changed."""
        return self._standings.setdefault(number.phone_number_id, Standing())

    def save(self, number: BusinessNumber) -> None:
        """Let a change survive a restart."""
        self._archive.put("standing", number.phone_number_id, asdict(self.of(number)))

    def has_blocked(self, phone_number_id: str, person_id: str) -> bool:
        """Whether this number has blocked that person."""
        standing = self._standings.get(phone_number_id)
        return standing is not None and person_id in standing.blocked

    def set_quality(self, number: BusinessNumber, quality: str) -> None:
        """Meta thinks otherwise of the messages. Only what is bad, or no longer so, is told."""
        standing = self.of(number)
        before, standing.quality = standing.quality, quality
        if "RED" in {before, quality} and before != quality:
            self._tell(number, "FLAGGED" if quality == "RED" else "UNFLAGGED")

    def set_throughput(self, number: BusinessNumber, level: str) -> None:
        """The number becomes faster, which is told, or slower, which is not."""
        standing = self.of(number)
        before, standing.throughput = standing.throughput, level
        if level == "HIGH" and before != "HIGH":
            self._tell(number, "THROUGHPUT_UPGRADE")

    def set_tier(self, number: BusinessNumber, tier: str) -> None:
        """Another limit of people to be written to; the portfolio's, so its account hears too."""
        standing = self.of(number)
        before, standing.tier = standing.tier, tier
        if before == tier:
            return
        up = TIERS.index(tier) > TIERS.index(before)
        self._tell(number, "UPGRADE" if up else "DOWNGRADE", old_limit=before)
        limits = {"max_daily_conversations_per_business": tier, "max_phone_numbers_per_waba": 25}
        self._send(number, "business_capability_update", limits)

    def clear(self) -> None:
        """Every number as on the first day."""
        self._standings.clear()

    def _tell(self, number: BusinessNumber, event: str, **more: str) -> None:
        tier = self.of(number).tier
        value = {"display_phone_number": number.display_phone_number, "event": event, **more}
        value |= {"current_limit": tier, "max_daily_conversations_per_business": tier}
        self._send(number, "phone_number_quality_update", value)

    def _send(self, number: BusinessNumber, field: str, value: Json) -> None:
        self._post(account_update(number.waba_id, field, value, self._clock()))
