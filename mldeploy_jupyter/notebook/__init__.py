"""The magics and what they show. Thin views over the command grammar and the API."""
