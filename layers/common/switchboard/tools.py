"""The composition root: the one place that builds the real things, once per environment.

Everything else is handed a `Tools`. Heavy parts (the Graph client, botocore) are made when first
used, because imports cost cold start.
"""

from __future__ import annotations

from functools import cache, cached_property
from typing import TYPE_CHECKING

from switchboard.kernel import aws
from switchboard.kernel.clock import Clock
from switchboard.kernel.database_url import database_url
from switchboard.kernel.db import Database
from switchboard.kernel.errors import ConfigurationError
from switchboard.kernel.log import log
from switchboard.kernel.seal import Sealer
from switchboard.kernel.secrets import Secrets
from switchboard.kernel.settings import Settings, settings

if TYPE_CHECKING:
    from switchboard.kernel.outside import Outside
    from switchboard.ses.client import SesClient
    from switchboard.whatsapp.client import GraphClient


#: Seconds that a nudge may take: two tries, of 2 for the connection and 2 for the answer, and a
#: pause of up to 1 between them.
NUDGE_S = 9.0


class Tools:
    """What a use case works with. Tests build their own, with their settings, clock and client."""

    def __init__(
        self,
        settings: Settings,
        *,
        clock: Clock | None = None,
        db: Database | None = None,
        secrets: Secrets | None = None,
    ) -> None:
        self.settings = settings
        self.clock = clock or Clock()
        self.secrets = secrets or Secrets(settings.parameters_secrets_extension_http_port)
        self.db = db or Database(self._database_url)
        self.sealer = Sealer(settings.kms_key_id)

    @cached_property
    def graph(self) -> GraphClient:
        """Meta's Graph API."""
        from switchboard.whatsapp.client import GraphClient

        return GraphClient(self.settings.graph_api_url, self.settings.graph_api_version)

    @cached_property
    def outside(self) -> Outside:
        """Addresses that others have named; on one machine alone, this machine's count too."""
        from switchboard.kernel.outside import Outside

        return Outside(loopback=self.settings.stage == "local")

    @cached_property
    def ses(self) -> SesClient:
        """Amazon SES."""
        from switchboard.ses.client import SesClient

        return SesClient(self.settings.ses_configuration_set)

    def nudge(self) -> None:
        """Ask for a run of process_jobs now. A lost nudge costs at most a schedule tick.

        Never raises: what was to be done stands in the database already.
        """
        name = self.settings.process_jobs_function
        if not name:
            return
        try:
            aws.client("lambda", read_s=2, tries=2).invoke(
                FunctionName=name, InvocationType="Event", Payload=b'{"source":"nudge"}'
            )
        except Exception as error:  # noqa: BLE001 - the work stands in the database
            log.warning("nudge.lost", error_type=type(error).__name__)

    def _database_url(self, *, fresh: bool) -> str:
        if self.settings.database_url:
            return self.settings.database_url
        if not self.settings.database_secret_arn:
            raise ConfigurationError("DATABASE_URL or DATABASE_SECRET_ARN must be set")
        return database_url(self.secrets.json(self.settings.database_secret_arn, fresh=fresh))


@cache
def tools() -> Tools:
    """Return the environment's tools, built at the first call, inside a handler."""
    made = Tools(settings())
    log.set_level(made.settings.log_level)
    return made
