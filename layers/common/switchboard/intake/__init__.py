"""From a webhook's raw bytes to rows: one write per tenant, dead letters, the backlog."""
