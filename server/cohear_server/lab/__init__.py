"""Offline tools: make profiles, try settings, score models. Nothing that runs in the server imports them."""
