"""What the model libraries think of a resource: fhirclient of R4, fhir.resources of R4B and R5; R6 and DSTU2 have none.

A library's model is made and thrown away: what is sent is our own JSON (RULES B1). Their messages quote values: only
where and of which kind a fault is gets out (RULES S1). A type's model is imported when it is first needed: no site pays
for another version's library, and no command for models of what it does not check.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterable
from functools import cache
from typing import Any

from fhirclient.models.fhirabstractbase import FHIRValidationError

Fault = tuple[str, str]
"""Path below the resource, and the broken rule."""

_FHIRCLIENT_RULES = (
    (KeyError, "a required element is missing (fhirclient)"),
    (AttributeError, "holds an element that FHIR does not define (fhirclient)"),
    (TypeError, "has the wrong type (fhirclient)"),
)

_PACKAGES = {"r4": "fhirclient.models", "r4b": "fhir.resources.R4B", "r5": "fhir.resources"}
"""In each, a type's model stands in a module of its name."""

_RESOURCES_RULES = {
    "missing": "a required element is missing (fhir.resources)",
    "extra_forbidden": "holds an element that FHIR does not define (fhir.resources)",
}


def model_faults(resource: dict[str, Any], *, fhir_version: str) -> list[Fault]:
    """The faults that the version's model library finds, in its order."""
    resource_type = str(resource["resourceType"])
    if fhir_version == "r4":
        return _of_fhirclient(resource, resource_type)
    if fhir_version in _PACKAGES:
        return _of_fhir_resources(resource, resource_type, fhir_version)
    return []


def import_models(resource_types: Iterable[str], *, fhir_version: str) -> None:
    """Have the models now. Threads that need one first would wait for its import, each of them, in their first study."""
    if fhir_version in _PACKAGES:
        for resource_type in resource_types:
            _model(resource_type, fhir_version)


def _of_fhirclient(resource: dict[str, Any], resource_type: str) -> list[Fault]:
    try:
        _model(resource_type, "r4")(resource, strict=True)
    except FHIRValidationError as error:
        return list(_leaves(error, path=""))
    return []


def _leaves(error: Exception, *, path: str) -> Iterable[Fault]:
    if isinstance(error, FHIRValidationError):
        below = f"{path}.{error.path}" if error.path else path
        for inner in error.errors:
            yield from _leaves(inner, path=below)
        return
    yield path, next((rule for kind, rule in _FHIRCLIENT_RULES if isinstance(error, kind)), "is not valid (fhirclient)")


def _of_fhir_resources(resource: dict[str, Any], resource_type: str, fhir_version: str) -> list[Fault]:
    """Its models are pydantic's, whose ValidationError is a ValueError with a list of `errors()`."""
    try:
        _model(resource_type, fhir_version).model_validate(resource)
    except (ValueError, TypeError, AttributeError) as error:
        # TypeError and AttributeError come from its own validators, which expect a certain shape before they look.
        if not hasattr(error, "errors"):
            return [("", "has the wrong type (fhir.resources)")]
        found = error.errors(include_url=False, include_context=False, include_input=False)
        return [(_path(one["loc"]), _RESOURCES_RULES.get(one["type"], "is not valid (fhir.resources)")) for one in found]
    return []


@cache
def _model(resource_type: str, fhir_version: str) -> Any:
    module = importlib.import_module(f"{_PACKAGES[fhir_version]}.{resource_type.lower()}")
    return getattr(module, resource_type)


def _path(location: Iterable[str | int]) -> str:
    return "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in location)
