"""What an environment asks for, as data, and the files that say it."""
