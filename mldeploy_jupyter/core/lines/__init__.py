"""Files of lines, such as logs and journals: where each line begins, and the last lines first."""
