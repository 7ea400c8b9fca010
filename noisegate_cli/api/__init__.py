"""The Python interface: gate arrays, streams and recordings with one call."""
