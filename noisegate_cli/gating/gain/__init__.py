"""Convert detector values to a mask, to gains, and to gated samples."""
