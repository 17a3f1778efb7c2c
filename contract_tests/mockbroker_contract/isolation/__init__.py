"""What the kit changes process-wide, each with its reason."""
