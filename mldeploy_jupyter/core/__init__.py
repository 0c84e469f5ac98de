"""Plain data and the code that stores, reads and explains it. Nothing here runs a deployment or talks to a user.

The floors, from the top. A module imports only from floors below its own:

    1. diagnosis      causes of failures, from logs and exceptions
       workspace      the folder `.mldeploy/`, which opens the store and the artifacts
    2. artifacts      the bytes of models
       bundle         the folders that services run from
       configs        the settings of every target, and configuration files
       environment    definitions of Python environments
       journal        the events of a deployment, and how they are shown
       script         the entry script and the notebook cell that it came from
       store          records in SQLite or PostgreSQL
    3. keys, names, scoring_client, storage_errors
    4. files
    5. errors
    6. process_identity, records, text

No other package of `mldeploy_jupyter` is imported. SQLAlchemy, fsspec, PyYAML, packaging and requests are imported by
the functions that use them, so that importing `core` stays fast.
"""
