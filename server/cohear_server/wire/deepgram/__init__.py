"""Deepgram's interface, version 1: what its clients say on `/v1/listen`, and what they are told."""
