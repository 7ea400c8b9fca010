"""Read and write tags, within limits."""
