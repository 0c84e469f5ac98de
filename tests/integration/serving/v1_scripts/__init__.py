"""Entry scripts as they were written for Azure ML's v1, one of each kind, with requests and what is answered."""
