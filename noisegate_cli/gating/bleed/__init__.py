"""Bleed: sounds of other tracks that are audible in this one."""
