"""The tests of v1's suites that fail here, each with the reason.

A test is named by its file and function, without parameters. `docs/reference/http.md` ("Against Azure ML v1's server")
and `docs/migrating.md` tell users of each difference that a client or a script can see.
"""

from __future__ import annotations

ABSENT = "needs a library or a cloud that this run leaves out"
INTERNAL = "looks into v1's internals"
DESCRIPTION = "compares the whole description: ours has the key, tags, other names of operations, and nullable columns"
VERSIONS = "a list of mixed items is described in Swagger 2 as well"
MESSAGE = "the body of an error has other words, and a code, a place and a hint"
NO_ID = "an error answers under an id of the server's own"
LOWER_CASE = "x-ms-run-function-failed is written in lower case"
NO_GET = "GET /score is refused, so the default of the parameter is never reached"
DATA_STATUS = "data that does not fit is answered 422"

DIFFERENCES = {
    # inference-schema
    "test_pandas_parameter_type.py::test_pandas_handling": "columns of other names are refused",
    "test_spark_parameter_type.py::test_spark_handling": ABSENT,
    "test_standard_parameter_type.py::test_standard_handling_list": VERSIONS,
    "test_standard_parameter_type.py::test_supported_versions_string": VERSIONS,
    "test_schema_generation.py::test_numpy_handling": DESCRIPTION,
    "test_schema_generation.py::test_pandas_handling": DESCRIPTION,
    "test_schema_generation.py::test_pandas_datetime_handling": DESCRIPTION,
    "test_schema_generation.py::test_standard_handling": DESCRIPTION,
    "test_schema_generation.py::test_nested_handling": DESCRIPTION,
    "test_schema_generation.py::test_spark_handling": ABSENT,
    # azureml-inference-server-http
    "test_app_insights.py::test_appinsights_e2e": ABSENT,
    "test_app_insights.py::test_appinsights_exception": ABSENT,
    "test_app_insights.py::test_appinsights_response_not_string": ABSENT,
    "test_app_insights.py::test_appinsights_request_no_response_payload_log": ABSENT,
    "test_app_insights.py::test_appinsights_model_log_with_clientrequestid": ABSENT,
    "test_app_insights.py::test_appinsights_model_log_without_clientrequestid": ABSENT,
    "test_compat.py::test_compat_flask2_json_error": "a body that is not JSON is the client's mistake: 400, not 500",
    "test_config.py::test_config_errors": INTERNAL,
    "test_entry_debugpy.py::test_entry_debugpy": INTERNAL,
    "test_print_log_hook.py::test_print_log_redirect": "print() goes to the log without a logger of v1's name",
    "test_routes.py::test_routes_request_id_limit": NO_ID,
    "test_routes.py::test_routes_client_request_id_limit": NO_ID,
    "test_routes.py::test_routes_x_ms_request_id": "x-ms-request-id is not deprecated here",
    "test_routes.py::test_routes_scoring_amlresponse_empty": LOWER_CASE,
    "test_routes.py::test_routes_scoring_amlresponse_string": LOWER_CASE,
    "test_routes.py::test_routes_scoring_amlresponse_json": LOWER_CASE,
    "test_routes.py::test_routes_scoring_amlresponse_failed": LOWER_CASE,
    "test_routes.py::test_routes_scoring_amlresponse_headers": "the content type that a script sets is sent",
    "test_routes.py::test_routes_scoring_cors_enabled": "a preflight is answered 204",
    "test_routes.py::test_routes_scoring_cors_enabled_2": "a preflight from another page is answered 403",
    "test_routes.py::test_routes_404": MESSAGE,
    "test_routes.py::test_routes_405": MESSAGE,
    "test_swagger.py::test_swagger_supported_versions": INTERNAL,
    "test_swagger.py::test_swagger_bad_version": MESSAGE,
    "test_swagger.py::test_swagger_schema_versions": "without a version, the description is OpenAPI 3.1",
    "test_swagger.py::test_swagger_schema_versions_no_2": VERSIONS,
    "test_swagger.py::test_swagger_v2_read_user_swagger": "a description that is no OpenAPI document is not served",
    "test_swagger.py::test_swagger_v3_read_user_swagger": "a description that is no OpenAPI document is not served",
    "test_swagger.py::test_swagger_generation": DESCRIPTION,
    "test_swagger.py::test_swagger_generation_with_path_prefix": "there are no path prefixes",
    "test_swagger.py::test_swagger_generation_without_decorator": DESCRIPTION,
    "test_user_script.py::test_script_not_found": INTERNAL,
    "test_user_script.py::test_import_error_in_main": "the error of the import is raised as it is",
    "test_user_script.py::test_user_script_load_bad_run_signature": MESSAGE,
    "test_user_script.py::test_user_script_run_no_argument": MESSAGE,
    "test_user_script.py::test_user_script_input_json_not_utf8": MESSAGE,
    "test_user_script.py::test_user_script_input_json_default_parameter": NO_GET,
    "test_user_script.py::test_user_script_input_schema_missing_param": DATA_STATUS,
    "test_user_script.py::test_user_script_input_schema_not_dict": DATA_STATUS,
    "test_user_script.py::test_user_script_input_schema_empty_body": MESSAGE,
    "test_user_script.py::test_user_script_input_schema_not_json": MESSAGE,
    "test_user_script.py::test_user_script_input_schema_bad_json": MESSAGE,
    "test_user_script.py::test_user_script_run_exception": MESSAGE,
    "test_user_script.py::test_user_script_run_timeout": "deadlines are kept by the worker, which this run leaves out",
    "test_utils.py::test_utils_walk_path": INTERNAL,
}  # fmt: skip
