"""Starting programs, passing signals on, and ending every process that they started."""
