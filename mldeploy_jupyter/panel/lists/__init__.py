"""What lists show: every workspace, service and model that this user knows, as rows that are cheap to keep current."""
