"""Options of the commands, and the presets."""
