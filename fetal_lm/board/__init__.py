"""W&B as the place of comparison: what runs log there, sending them later, a workspace and a report of a sweep."""
