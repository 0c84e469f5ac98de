"""Our own `inference_schema`: what a request must look like, said by samples.

base.py        `AbstractParameterType` and `ValidationError`, the error that names the place
scalars.py     conversions of single values that refuse to lose anything
quick.py       lists as arrays, without a call for each value
decorators.py  `input_schema`, `output_schema`
hints.py       type hints as parameter types; hint_arrays.py, hint_classes.py, hint_pydantic.py
numpy_type.py, pandas_type.py (over pandas_orients.py, pandas_columns.py), standard_type.py, spark_type.py
"""
