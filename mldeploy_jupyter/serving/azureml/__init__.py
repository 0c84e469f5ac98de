"""The names of Azure ML's v1 packages that an entry script may import, as they behave inside a service.

`import_hook` makes them importable; the other modules define them. Imports only `schema`. (The package
`mldeploy_jupyter.azureml` does the same for notebooks, outside a service.)
"""
