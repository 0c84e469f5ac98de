"""What `deploy_configuration(...)` of each webservice class returns: v1's classes over `DeployConfig`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar, TypeVar

from mldeploy_jupyter.api.arguments import unknown_name
from mldeploy_jupyter.api.azure_names import CONFIGURATION, AzureNames
from mldeploy_jupyter.core.configs import SPECS, DeployConfig, docstring_of, make_config, signature_of
from mldeploy_jupyter.core.errors import ConfigError

Configuration = TypeVar("Configuration", bound="WebserviceDeploymentConfiguration")


class WebserviceDeploymentConfiguration(AzureNames):
    """Settings for one target, made by the `deploy_configuration` of a webservice class.

    Every setting is an attribute that can be changed; it is None when it was not passed. `config` is the plain data.
    """

    _azure_owner, _azure_names = "deployment_config", CONFIGURATION
    compute_type: ClassVar[str] = ""

    def __init__(self, config: DeployConfig) -> None:
        self.config = config

    def validate_configuration(self) -> None:
        """Raises `ConfigError` that names every setting that is wrong."""
        self.config.validate()

    def print_deploy_configuration(self, print_: Callable[[str], Any] = print) -> None:
        """Prints every setting and marks the defaults. Secrets are not shown."""
        print_(f"Target: {self.compute_type}")
        for name, value in self.config.resolve().items():
            print_(
                f"  {name} = {self.config.format_setting(name, value)}"
                + ("" if name in self.config.passed else "  (default)")
            )

    def __setattr__(self, name: str, value: Any) -> None:
        if name != "config" and name not in self.config.spec.by_name:
            raise unknown_name(type(self).__name__, name, self.config.spec.by_name)
        super().__setattr__(name, value)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, WebserviceDeploymentConfiguration) and self.config == other.config

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return repr(self.config)


class LocalWebserviceDeploymentConfiguration(WebserviceDeploymentConfiguration):
    compute_type = "Local"


class AciServiceDeploymentConfiguration(WebserviceDeploymentConfiguration):
    compute_type = "ACI"


class AksServiceDeploymentConfiguration(WebserviceDeploymentConfiguration):
    compute_type = "AKS"


class AksEndpointDeploymentConfiguration(AksServiceDeploymentConfiguration):
    compute_type = "AKSENDPOINT"


CLASSES: dict[str, type[WebserviceDeploymentConfiguration]] = {
    cls.compute_type: cls
    for cls in (
        LocalWebserviceDeploymentConfiguration,
        AciServiceDeploymentConfiguration,
        AksServiceDeploymentConfiguration,
        AksEndpointDeploymentConfiguration,
    )
}


def _setting(name: str, doc: str) -> property:
    def get(self: WebserviceDeploymentConfiguration) -> Any:
        return self.config.passed.get(name)

    def put(self: WebserviceDeploymentConfiguration, value: Any) -> None:
        # As in v1, a change is checked when the configuration is used.
        self.config = make_config(self.compute_type, {**self.config.passed, name: value})

    return property(get, put, doc=doc)


for _cls in CLASSES.values():
    for _field in SPECS[_cls.compute_type].fields:
        setattr(_cls, _field.name, _setting(_field.name, _field.doc))


def from_data(data: Mapping[str, Any] | DeployConfig) -> WebserviceDeploymentConfiguration:
    """The public object for a `DeployConfig` or its data form. Raises `ConfigError` for data that cannot be read."""
    config = data if isinstance(data, DeployConfig) else DeployConfig.from_dict(data)
    return CLASSES[config.spec.compute_type](config)


def _factory(cls: type[Configuration], name: str) -> Callable[..., Configuration]:
    """The `deploy_configuration` of a target, whose parameters are the settings of its spec."""
    spec = SPECS[cls.compute_type]
    signature = signature_of(spec, cls)

    def configure(*args: Any, **kwargs: Any) -> Configuration:
        if len(args) > len(spec.fields):
            raise ConfigError(
                f"{spec.call} got {len(args)} positional values",
                why=f"it has {len(spec.fields)} settings",
                hint="pass the settings by name",
            )
        passed = dict(zip(spec.by_name, args, strict=False))
        twice = [key for key in kwargs if passed.get(key) is not None]
        if twice:
            raise ConfigError(
                f"{spec.call} got {twice[0]} twice",
                why="it was passed by position and by name",
                hint="pass the settings by name",
            )
        config = make_config(spec.compute_type, {**passed, **kwargs})
        config.validate()
        return cls(config)

    configure.__name__ = configure.__qualname__ = name
    configure.__doc__ = docstring_of(spec)
    configure.__signature__ = signature  # type: ignore[attr-defined]
    configure.__annotations__ = {p.name: p.annotation for p in signature.parameters.values()} | {"return": cls}
    return configure


local_configuration = _factory(LocalWebserviceDeploymentConfiguration, "local_configuration")

aci_configuration = _factory(AciServiceDeploymentConfiguration, "aci_configuration")

aks_configuration = _factory(AksServiceDeploymentConfiguration, "aks_configuration")

aks_endpoint_configuration = _factory(AksEndpointDeploymentConfiguration, "aks_endpoint_configuration")
