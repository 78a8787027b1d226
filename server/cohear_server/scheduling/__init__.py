"""Which windows of which streams are decoded next, and in which batch."""
