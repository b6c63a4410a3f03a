"""Pages that are made from the code and from reports, so that they cannot go stale: every command, every setting of a
recipe and of an experiment, every field of a record, and each published report. Written to `reference/generated/` and
`results/` before pages are read."""

from __future__ import annotations

import html
import importlib
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from sphinx.application import Sphinx
from sphinx.pycode import ModuleAnalyzer
from sphinx.util import logging

import ternary_vae
from ternary_vae.experiments.description import Experiment
from ternary_vae.recipe import Recipe, load_recipe, recipe_names
from ternary_vae.resolution.records import CoupledRecord, IsolatedRecord
from ternary_vae.resolution.structure.records import StructureRecord

logger = logging.getLogger(__name__)
ROOT = Path(__file__).resolve().parents[2]
PUBLISHED = {
    "final": "reports/FINAL_RESOLUTION_REPORT.md",
    "goals": "reports/ten_seeds/GOALS.md",
    "resolution": "reports/benchmarks/RESOLUTION_EVOLUTION.md",
    "ternary_v5_5": "reports/ternary_v5_5/RESOLUTION_EVOLUTION.md",
    "structure": "reports/structure/README.md",
    **{
        name: f"reports/{name}/README.md" for name in recipe_names() if (ROOT / "reports" / name / "README.md").exists()
    },
    "growth": "reports/benchmarks/spaces/README.md",
    "experiments": "reports/experiments/README.md",
    **{path.parent.name: str(path.relative_to(ROOT)) for path in sorted(ROOT.glob("reports/experiments/*/report.md"))},
    "reliability": "reports/reliability.md",
    "benchmarks": "benchmarks/README.md",
}
"""Page below `docs/results/` → what is published on it."""
PACKAGES = {
    "gates": "Gates",
    "model": "Model",
    "objective": "Objective",
    "training.guards": "Guards",
    "training.loop": "Training",
    "pretrained": "Pretrained models",
    "exports.embeddings": "Export of embeddings",
    "exports.onnx": "Export to ONNX",
    "exports.projector": "Export to TensorBoard's projector",
    "space": "The space",
    "operations": "Operations",
    "splits": "Splits",
    "limits": "Limits",
    "recipe": "Recipes",
    "space_recipe": "Recipes of other spaces",
    "storage.runs": "Run directories",
    "storage.checkpoints": "Checkpoints",
    "resolution.records": "Benchmark records",
    "resolution.samples": "Measures of draws",
    "resolution.figures": "Figures",
    "resolution.intervals": "Intervals",
    "resolution.criteria": "Success criteria",
    "reports": "Reports of a run",
    "atlas": "Atlas",
}
"""Module → heading of its part of the page of packages."""
WITH = {
    "gates": ["gates.properties.Property"],
    "model": ["model.networks.Encoder"],
    "objective": ["objective.forward.Answers"],
    "training.loop": ["training.run.Outcome", "training.progress.Progress"],
    "pretrained": ["pretrained.configuration.Criterion", "pretrained.encoder.DataFrame"],
    "resolution.records": ["descriptions.Section"],
    "reports": ["reports.latent_map.LatentMap", "reports.latent_map.SideMap"],
}
"""Module → classes from behind it that its signatures name."""
BOUNDS = {"minimum": "≥", "ge": "≥", "exclusiveMinimum": ">", "gt": ">", "maximum": "≤", "le": "≤",
          "exclusiveMaximum": "<", "lt": "<"}  # fmt: skip
Schema = dict[str, Any]


def write_all(app: Sphinx) -> None:
    """Writes each page, and leaves the file of one that has not changed alone."""
    place = Path(app.srcdir)
    recipe, record_kinds = Recipe.model_json_schema(), (IsolatedRecord, CoupledRecord, StructureRecord)
    pages = {
        "commands.md": commands(),
        "packages.md": packages(),
        "recipes.md": recipes(),
        "recipe.md": "\n".join(settings(Recipe)),
        "experiment.md": "\n".join(fields(Experiment)),
        "records.md": "\n".join(line for kind in record_kinds for line in fields(kind)),
        "recipe.schema.json": json.dumps(recipe, indent=1),
        **{f"{kind.__name__}.schema.json": json.dumps(kind.model_json_schema(), indent=1) for kind in record_kinds},
    }
    pages = {f"reference/generated/{name}": text for name, text in pages.items()}
    pages |= {f"results/{name}": text for name, text in published_pages().items()}
    for name, text in pages.items():
        path = place / name
        path.parent.mkdir(exist_ok=True)
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")


def write_atlas(app: Sphinx, exception: Exception | None) -> None:
    """Writes the atlas of the pretrained model beside the pages."""
    if exception is None and app.builder.format == "html":
        output = str(Path(app.outdir) / "atlas.html")
        subprocess.run([sys.executable, "-m", "ternary_vae.cli", "atlas", "--output", output], check=True)


def published_pages() -> dict[str, str]:
    """The published reports as pages, with a list of them: links between them lead to pages, others to files."""
    pages = {name: _published(ROOT / path) for name, path in PUBLISHED.items()}
    listed = "\n".join(pages)
    pages["index"] = f"# Published results\n\n```{{toctree}}\n:titlesonly:\n{listed}\n```\n"
    return {f"{name}.md": text for name, text in pages.items()}


def _published(path: Path) -> str:
    pages = {(ROOT / source).resolve(): f"{name}.md" for name, source in PUBLISHED.items()}

    def rewritten(link: re.Match[str]) -> str:
        target, hash_sign, anchor = link[1].partition("#")
        if "://" in target or not target:
            return link[0]
        found = (path.parent / target).resolve()
        return f"]({pages.get(found) or f'../../{found.relative_to(ROOT)}'}{hash_sign}{anchor})"

    return re.sub(r"\]\(([^)\s]+)\)", rewritten, path.read_text(encoding="utf-8"))


def packages() -> str:
    """What packages offer beside the public interface, which has a page of its own."""
    lines = []
    for name, title in PACKAGES.items():
        module = importlib.import_module(f"ternary_vae.{name}")
        public = [key for key in ternary_vae.__all__ if getattr(module, key, None) is getattr(ternary_vae, key)]
        lines += [f"## {title}", "", "```{eval-rst}", f".. automodule:: ternary_vae.{name}", "   :members:"]
        lines += [f"   :exclude-members: {', '.join(public)}", ""]
        lines += [f".. autoclass:: ternary_vae.{one}\n   :members:\n" for one in WITH.get(name, ())]
        lines += ["```", ""]
    return "\n".join(lines)


def commands() -> str:
    """What `ternary-vae COMMAND --help` says of every command."""
    made = subprocess.run(
        [sys.executable, "-m", "typer", "ternary_vae.cli", "utils", "docs", "--name", "ternary-vae"],
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    _, _, after_title = html.unescape(made.stdout).partition("\n")
    return after_title


# ---------------------------------------------------------------- settings


def recipes() -> str:
    """The recipes that come with the package, and what they say of themselves."""
    rows = [f"| `{name}` | {load_recipe(name).description} |" for name in recipe_names()]
    return "\n".join(["| recipe | what it is |", "| --- | --- |", *rows])


def settings(model: type[BaseModel]) -> Iterator[str]:
    """A section of the page for each section of a recipe: what it is, and its settings with the values that they have
    in the plan's recipe and in the default."""
    schema = model.model_json_schema()
    values = {name: load_recipe(name).model_dump(mode="json") for name in ("ternary_v5_5", "resolution")}
    yield from _settings_of(schema, schema, (), values)


def _settings_of(section: Schema, schema: Schema, path: tuple[str, ...], values: dict[str, Any]) -> Iterator[str]:
    rows, inside = [], []
    for name, field in section["properties"].items():
        below = {recipe: (value or {}).get(name) for recipe, value in values.items()}
        target = _definition(field, schema)
        if target is not None and "properties" in target:
            inside.append((target, (*path, name), below))
        else:
            shown = " | ".join(_code(below[recipe]) for recipe in values)
            rows.append(f"| `{'.'.join((*path, name))}` | {_kind(field, schema)} | {shown} |")
    yield f"{'#' * min(2 + len(path), 4)} {'`' + '.'.join(path) + '`' if path else 'At the top'}\n"
    if path:
        yield section.get("description", "") + "\n"
    if rows:
        yield "| setting | what it takes | `ternary_v5_5` | `resolution` |\n| --- | --- | --- | --- |"
        yield from rows
        yield ""
    for target, where, below in inside:
        yield from _settings_of(target, schema, where, below)
    for name, field in section["properties"].items():
        items = field.get("additionalProperties")
        target = _definition(items, schema) if isinstance(items, dict) else None
        if target is not None:
            yield f"({target['title'].lower()})=\n### `{'.'.join((*path, name))}.NAME`\n"
            yield target.get("description", "") + "\n"
            yield "| setting | what it takes | unless given |\n| --- | --- | --- |"
            for key, one in target["properties"].items():
                yield f"| `{key}` | {_kind(one, schema)} | {_default(one, key, target)} |"
            yield ""


# ---------------------------------------------------------------- fields


def fields(model: type[BaseModel]) -> Iterator[str]:
    """A table for a model and for each model inside it, in the order in which a reader meets them."""
    schema = model.model_json_schema(by_alias=True)
    said = _attribute_texts(model)
    yield from _fields_of(model.__name__, schema, schema, said)
    for name in _reached(schema, schema):
        yield from _fields_of(name, schema["$defs"][name], schema, said, "###")


def _fields_of(name: str, section: Schema, schema: Schema, said: dict, level: str = "##") -> Iterator[str]:
    text, _, attributes = section.get("description", "").partition("Attributes:\n")
    described = {key: " ".join(words) for key, words in _described(attributes)}
    yield f"{level} {name}\n"
    yield text.strip() + "\n"
    optional = [key for key in section["properties"] if key not in section.get("required", []) and key != "kind"]
    yield "| field | takes | what it is |\n| --- | --- | --- |"
    for key, field in section["properties"].items():
        words = described.get(key) or said.get((name, key), "")
        unless_given = f"Unless given: {_default(field, key, section)}." if key in optional else ""
        yield f"| `{key}` | {_kind(field, schema)} | {' '.join(filter(None, (words, unless_given)))} |"
    yield ""


def _described(attributes: str) -> Iterator[tuple[str, list[str]]]:
    """Names and words of the `Attributes:` of a docstring."""
    key, words = "", []
    for line in attributes.splitlines():
        name, colon, rest = line.strip().partition(": ")
        if colon and line.startswith("    ") and not line.startswith("     "):
            if key:
                yield key, words
            key, words = name, [rest]
        else:
            words.append(line.strip())
    if key:
        yield {"settings": "set"}.get(key, key), words


def _attribute_texts(model: type[BaseModel]) -> dict[tuple[str, str], str]:
    """What stands below the fields in the source."""
    found = ModuleAnalyzer.for_module(model.__module__).find_attr_docs()
    return {key: " ".join(" ".join(lines).split()) for key, lines in found.items()}


def _reached(section: Schema, schema: Schema) -> list[str]:
    names: list[str] = []

    def visit(part: Any) -> None:
        if isinstance(part, dict):
            if (name := part.get("$ref", "").rpartition("/")[2]) and name not in names:
                names.append(name)
                visit(schema["$defs"][name])
            visit([value for key, value in part.items() if key != "$defs"])
        elif isinstance(part, list):
            for one in part:
                visit(one)

    visit(section)
    return names


# ---------------------------------------------------------------- words


def _definition(field: Schema, schema: Schema) -> Schema | None:
    references = [part["$ref"] for part in (field, *field.get("anyOf", [])) if "$ref" in part]
    return schema["$defs"][references[0].rpartition("/")[2]] if references else None


def _kind(field: Schema, schema: Schema) -> str:
    """What a field takes, in words."""
    if "$ref" in field:
        return f"[{(name := field['$ref'].rpartition('/')[2])}](#{name.lower()})"
    if "anyOf" in field:
        return " or ".join(_kind(part, schema) for part in field["anyOf"])
    if "const" in field:
        return _code(field["const"])
    if "enum" in field:
        return " or ".join(map(_code, field["enum"]))
    kind = field.get("type")
    bounds = ", ".join(f"{sign} {_number(field[key])}" for key, sign in BOUNDS.items() if key in field)
    if kind == "array":
        if "prefixItems" in field:
            return "[" + ", ".join(_kind(part, schema) for part in field["prefixItems"]) + "]"
        return f"list of: {_kind(field.get('items', {}), schema)}"
    if kind == "object":
        inside = field.get("additionalProperties")
        return f"name → {_kind(inside, schema)}" if isinstance(inside, dict) else "names → values"
    word = {"integer": "whole number", "number": "number", "string": "text", "boolean": "true or false",
            "null": "null"}.get(kind or "", "anything")  # fmt: skip
    return f"{word} {bounds}".strip()


def _number(value: float) -> str:
    if isinstance(value, int) and value > 1e9 and value.bit_count() == 1:
        return f"2^{value.bit_length() - 1}"
    return f"{value:,}" if isinstance(value, int) and value < 1e9 else f"{value:g}"


def _default(field: Schema, key: str, section: Schema) -> str:
    if key in section.get("required", []):
        return "required"
    return _code(field.get("default"))


def _code(value: Any) -> str:
    if value is None:
        return "`null`"
    if isinstance(value, dict) and any(isinstance(one, dict) for one in value.values()):
        return ", ".join(f"`{name}`" for name in value) + ", as below"
    return "`" + (value if isinstance(value, str) and value else json.dumps(value, ensure_ascii=False)) + "`"


def setup(app: Sphinx) -> dict[str, bool]:
    """Called by Sphinx."""
    app.connect("builder-inited", write_all)
    app.connect("build-finished", write_atlas)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
