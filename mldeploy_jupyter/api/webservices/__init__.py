"""`Webservice` and the class of each target: deploying, waiting, listing, calling and changing services.

Imports only `api.environments`, `api.arguments`, `api.tag_filters` and the rooms below `api`.
"""

from mldeploy_jupyter.api.webservices.inference_config import InferenceConfig
from mldeploy_jupyter.api.webservices.targets import AciWebservice, AksEndpoint, AksWebservice, LocalWebservice
from mldeploy_jupyter.api.webservices.webservice import Webservice

__all__ = ["AciWebservice", "AksEndpoint", "AksWebservice", "InferenceConfig", "LocalWebservice", "Webservice"]
