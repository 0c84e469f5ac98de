"""What supervisor, zygote, workers and clients say to each other."""
