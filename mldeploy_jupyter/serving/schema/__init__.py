"""What a request must look like: v1's `inference_schema`, with parameter types that samples or type hints describe.

Imports nothing else of the server; `scoring` converts requests with it.
"""
