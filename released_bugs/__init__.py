"""Released versions of real libraries, checked: with a known bug, without it, and the newest."""
