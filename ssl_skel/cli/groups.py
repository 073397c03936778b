"""Options in groups: a command with many of them takes a few dataclasses instead of a long list of parameters."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from copy import copy
from dataclasses import MISSING, fields, is_dataclass
from functools import wraps
from inspect import Parameter
from typing import Annotated, Any, get_type_hints


def grouped(command: Callable[..., None]) -> Callable[..., None]:
    """The command with each parameter that is a dataclass replaced by that dataclass's fields.

    Fields are annotated for typer as parameters are. The command line has all of them as options; ``--help`` shows
    each group in a panel of its own, under the dataclass's docstring. The command gets each group as one object.
    """
    flat: list[Parameter] = []
    groups: dict[str, tuple[Any, list[str]]] = {}
    for parameter in inspect.signature(command, eval_str=True).parameters.values():
        kind: Any = parameter.annotation
        if not is_dataclass(kind):
            flat.append(parameter.replace(kind=Parameter.KEYWORD_ONLY))
            continue
        hints = get_type_hints(kind, include_extras=True)
        groups[parameter.name] = kind, [field.name for field in fields(kind)]
        for field in fields(kind):
            default = Parameter.empty if field.default is MISSING else field.default
            hint = _in_panel(hints[field.name], (kind.__doc__ or "").rstrip("."))
            flat.append(Parameter(field.name, Parameter.KEYWORD_ONLY, default=default, annotation=hint))

    @wraps(command)
    def call(**options: Any) -> None:
        for name, (kind, names) in groups.items():
            options[name] = kind(**{field: options.pop(field) for field in names})
        command(**options)

    del call.__wrapped__  # typer would look at its signature instead
    call.__annotations__ = {parameter.name: parameter.annotation for parameter in flat}
    call.__signature__ = inspect.Signature(flat)  # type: ignore[attr-defined]
    return call


def _in_panel(hint: Any, title: str) -> Any:
    """An option's annotation with the title of its help panel."""
    option = copy(hint.__metadata__[0])
    option.rich_help_panel = title
    return Annotated[hint.__origin__, option]
