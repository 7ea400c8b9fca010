"""From an open-or-closed mask to samples: mask, envelope, overlap-add gain."""
