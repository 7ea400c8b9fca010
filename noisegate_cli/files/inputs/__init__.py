"""Open recordings: choose the decoder, read blocks, describe what is missing."""
