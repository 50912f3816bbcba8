"""Reads template.yaml as CloudFormation with SAM's transform would, as far as a local run needs."""
