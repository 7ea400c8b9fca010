"""Recordings in and out: formats, decoders, encoders, tags, pipes, whole-or-nothing outputs."""
