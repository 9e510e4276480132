"""What operators read about settings, written from the schema: the commented TOML file and the table in the docs.

Both are generated, so that they cannot say anything else than the program does; a test fails when the files in the
repository are stale. In the TOML file a line that begins with `#` and no blank is a setting at its default, switched on
by removing that character.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from itertools import groupby

from syncd.settings.catalogue import CATALOGUE, ENVIRONMENT_ONLY, NAME, PREFIX, Setting

EXAMPLE_NAME = "main"
"""The archive's name in the commented file; it is free to choose."""

_TOML_HEAD = """\
Settings of syncd.

A line that begins with '#' and no blank is a setting at its default, or an example where it has none: remove the '#' to
switch it on. Every setting can also be given in the environment (fhir.url is SYNCD_FHIR__URL, archives.main.url is
SYNCD_ARCHIVES__MAIN__URL), which wins over this file, or in a secret file of that name. `syncd config show` tells every
value and where it came from. Durations are written 500ms, 1s, 15min, 6h.
"""

_DOCS_HEAD = """\
# Settings

Generated from `syncd/settings/schema.py` by `scripts/generate_docs.py`; do not edit.

A value is taken from the first of these places that has it:

1. the command line,
2. the environment: the variable in the table, or the variable with `_FILE` behind it, naming a file that holds the value,
3. the settings file: `--config FILE`, else `SYNCD_CONFIG`, else `config/syncd.toml` below the working directory,
4. secret files, named as the variables, in `SYNCD_SECRETS_DIR`, `/run/secrets` or `$CREDENTIALS_DIRECTORY`,
5. the default.

An empty variable counts as not set. An unknown `SYNCD_*` variable, secret file or key is an error; so that a Kubernetes
service named `syncd` does no harm, the variables that Kubernetes makes of it (`SYNCD_SERVICE_HOST`, `SYNCD_PORT=tcp://…`)
are passed over. All problems are reported at once, and the exit code is 2. `syncd config init` writes a commented file,
`syncd config show` tells every value with its source; secrets are never shown.

Durations are written `500ms`, `1s`, `15min`, `6h`. `<NAME>` is the archive's name: lower-case letters, digits and `_`, at
most 40 characters. In the settings file, `SYNCD_FHIR__URL` is `url` in the table `[fhir]`. A mapping is written as JSON in
the environment and in secret files, and as a table in the settings file.
"""


def toml_template() -> str:
    """A settings file with every setting; only what is required is switched on."""
    lines = [*_comment(_TOML_HEAD)]
    for block, settings in groupby(CATALOGUE, key=lambda setting: setting.path[:-1]):
        members = tuple(settings)
        if block:
            table = ".".join(EXAMPLE_NAME if part == NAME else part for part in block)
            lines += ["", *_comment(members[0].block_text), f"[{table}]"]
        for setting in members:
            lines += _entry(setting)
    return "\n".join(lines) + "\n"


def settings_page() -> str:
    """docs/settings.md."""
    lines = [_DOCS_HEAD]
    for block, settings in groupby(CATALOGUE, key=lambda setting: setting.path[:-1]):
        members = tuple(settings)
        title = f"`{PREFIX}{'__'.join(block).upper()}__…`" if block else "Of the whole installation"
        lines += [f"## {title}", ""]
        lines += [members[0].block_text, ""] if block else []
        lines += ["| setting | written as | default | meaning |", "|---|---|---|---|"]
        lines += [_row(setting) for setting in members]
        lines += [""]
    lines += ["## Where settings are", "", "Only in the environment:", "", "| variable | meaning |", "|---|---|"]
    lines += [f"| `{PREFIX}{name}` | {meaning} |" for name, meaning in ENVIRONMENT_ONLY.items()]
    return "\n".join(lines) + "\n"


def _comment(text: str) -> Iterator[str]:
    for paragraph in text.strip().split("\n\n"):
        if paragraph != text.strip().split("\n\n")[0]:
            yield "#"
        yield from (f"# {line}" for line in textwrap.wrap(paragraph, width=100))


def _entry(setting: Setting) -> Iterator[str]:
    yield ""
    yield from _comment(f"{setting.text} Written as: {setting.form}.")
    yield f"{'' if setting.is_required else '#'}{setting.path[-1]} = {setting.example}"


def _row(setting: Setting) -> str:
    if setting.is_required:
        default = "required"
    elif setting.default_text and " " not in setting.default_text:
        default = f"`{setting.default_text}`"
    else:
        default = setting.default_text or "unset"
    return f"| `{setting.variable}` | {setting.form} | {default} | {setting.text.replace('|', '&#124;')} |"
