"""Fuzzing of the scoring server: what is in CI runs from `tests/unit/serving`, `run.py` goes on for as long as asked.

python -m tests.fuzz.run --minutes 5             random cases (Hypothesis), every property in turn
python -m tests.fuzz.coverage http --minutes 5   led by coverage (`pip install atheris`); http, smuggling or score
"""
