"""Phantom heads: drawn ultrasound images with exact landmarks. `drawing` composes what the other modules draw."""
