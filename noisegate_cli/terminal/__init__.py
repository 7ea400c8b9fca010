"""What a person types and sees: commands, options, summaries, tables, progress, JSON."""
