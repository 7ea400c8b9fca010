"""Command-line interface: commands, options, summaries, tables, progress and JSON output."""
