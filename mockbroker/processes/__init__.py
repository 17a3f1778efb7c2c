"""Starting programs, holding signals back, and ending every process that they started."""
