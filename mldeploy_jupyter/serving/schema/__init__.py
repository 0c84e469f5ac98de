"""Our own `inference_schema`: what a request must look like, said by samples.

base.py        `AbstractParameterType` and `Misfit`, the error that names the place
scalars.py     conversions of single values that refuse to lose anything
decorators.py  `input_schema`, `output_schema`
numpy_type.py, pandas_type.py, standard_type.py, spark_type.py
"""
