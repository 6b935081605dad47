"""Templates that mean harm."""
