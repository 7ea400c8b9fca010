"""Bytes of containers: chunks, pages and frames, and where a recording begins and ends."""
