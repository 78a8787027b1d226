"""Whole files to transcripts, as fast as the machine allows: windows of many files share batches and one engine.

It knows no sockets, sessions or output formats; nobody waits for a single window here, so batches are as full as they
can be. `pipeline` is the way in.
"""
