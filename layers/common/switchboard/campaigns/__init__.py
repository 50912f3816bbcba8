"""Campaigns: messages to many people, and whom they reach."""
