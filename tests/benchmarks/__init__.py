"""What ngate costs: time and memory, side by side with other gates."""
