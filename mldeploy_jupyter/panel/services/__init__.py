"""Services as they are: described, with their revisions, their log, and what may be done with them."""
