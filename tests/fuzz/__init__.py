"""Fuzzing of the scoring server. CI checks a few cases from `tests/unit/serving/test_fuzz.py`; these run longer.

python -m tests.fuzz.run --minutes 5             random cases (Hypothesis), every property in turn
python -m tests.fuzz.coverage http --minutes 5   guided by coverage (`pip install atheris`); http, smuggling or score
"""
