"""How audio files are read: what is in them and when it is heard, by PyAV; soundfile for the few that it does not know.

    links -> track -> recording -> (mixing) -> cohear_client.files

The truth about a file is its packets and their presentation times, never the length that a header guesses.
"""
