"""Whole files to transcripts, as fast as the machine allows: windows of many files share batches and one engine.

It knows no sockets, no sessions and no output formats. Nobody waits for a single window here, so batches are as full as
possible. `pipeline` is the entry for a run over files.
"""
