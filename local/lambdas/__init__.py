"""A small stand-in for AWS Lambda: real handlers under AWS's own runtime client, as processes."""
