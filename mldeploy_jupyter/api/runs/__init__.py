"""`Run`: a folder of this workspace or a run of MLflow, from which models are registered."""
