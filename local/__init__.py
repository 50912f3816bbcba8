"""The whole system on one machine, without Docker, a cloud account or a Meta account."""
