"""Reads audio files with PyAV: what is in them, and at which time. soundfile reads the few formats that PyAV does not.

    links -> track -> recording -> (mixing) -> cohear_client.files

What counts is the packets of a file and their presentation times, never the length in the header, which may be wrong.
"""
