"""A stand-in for API Gateway's HTTP API with Lambda integrations, payload format 2.0."""
