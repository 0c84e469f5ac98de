"""A model file that the script does not find."""

from __future__ import annotations

from mldeploy_jupyter.core.diagnosis import explain


def test_a_path_in_a_container_is_told_below_the_model_folder() -> None:
    """The container's working folder is another one than the image's, and has the same folders in it."""
    path = "/var/lib/mldeploy/revisions/1/app/azureml-models/churn/3/ridge.pkl"
    attributes = {"filename": path}
    exception = {"type": "FileNotFoundError", "message": f"No such file: '{path}'", "attributes": attributes}
    failure = {"code": "init", "stage": "init", "exception": exception, "model_tree": ["churn/3/model/ridge.pkl"]}
    settings = {"service": "churn", "model_dir": "/var/azureml-app/azureml-models/churn/3"}
    cause = explain(failure, settings=settings, models=[])
    assert cause.what == "the model file ridge.pkl is not there"
    assert 'os.path.join(os.environ["AZUREML_MODEL_DIR"], "model", "ridge.pkl")' in cause.hint


def test_a_file_of_a_registered_model_that_no_service_was_given_yet_is_told_in_one_hint() -> None:
    exception = {"type": "FileNotFoundError", "message": "x", "attributes": {"filename": "churn.pkl"}}
    failure = {"code": "init", "stage": "init", "exception": exception, "other_models": {"churn": ["churn.pkl"]}}
    cause = explain(failure, settings={"checking": True, "model_dir": "/app/azureml-models"}, models=[])
    assert cause.why == "no model was named; the registered model churn has churn.pkl"
    assert cause.hint == (
        'use os.path.join(os.environ["AZUREML_MODEL_DIR"], "churn.pkl"), and name that model with -m churn'
    )
