"""What the commands print: summaries, tables, progress and JSON."""
