"""Sources as mypyc compiles them best: classes of values with their methods written out.

mypyc makes a native class of a plain one, whose attributes are fields of a C struct and whose
constructor is a C function. Of a dataclass it keeps the generated, interpreted constructor, and of
a class behind a decorator that it does not know (:func:`target.raft.record.record`) it makes no
native class at all. So the build writes out what these decorators stand for. Nothing else about
the source changes, and the class behaves as before: the tests hold both to the same bytes.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

FUTURE = "from __future__ import annotations\n"
IMPORTS = (
    "from dataclasses import make_dataclass as _make_dataclass\n"
    "from typing import Final as _Final, final as _final\n"
)


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a class. ``default`` and ``factory`` are expressions, as they are written."""

    name: str
    type: str
    default: str | None = None
    factory: str | None = None
    init: bool = True


@dataclass(frozen=True, slots=True)
class Shape:
    """A class of values: its own fields, those it inherits, and all in their order."""

    name: str
    own: tuple[Field, ...]
    inherited: tuple[Field, ...]
    hashed: bool

    @property
    def fields(self) -> tuple[Field, ...]:
        """As :mod:`dataclasses` orders them."""
        return (*self.inherited, *self.own)


class Unknown(ValueError):
    """A class that is not written out here; the message says which, and what is new about it."""


def written_out(sources: Mapping[str, str]) -> dict[str, str]:
    """Modules' sources by name, with every class of values written out and constants declared.

    Raises:
        Unknown: one of them uses what is not known here.
    """
    trees = {name: ast.parse(text) for name, text in sources.items()}
    classes = [
        (name, node)
        for name, tree in trees.items()
        for node in tree.body
        if isinstance(node, ast.ClassDef)
    ]
    bases = {base for _, node in classes for base in _bases(node)}
    shapes: dict[str, Shape] = {}
    waiting = [(name, node) for name, node in classes if _decorator(node) is not None]
    names = {node.name for _, node in waiting}
    while waiting:
        name, node = waiting.pop(0)
        if any(base in names and base not in shapes for base in _bases(node)):
            waiting.append((name, node))
        else:
            shapes[node.name] = _shape(node, shapes)
    return {name: _rewritten(text, trees[name], shapes, bases) for name, text in sources.items()}


def _bases(node: ast.ClassDef) -> list[str]:
    return [base.id for base in node.bases if isinstance(base, ast.Name)]


def _decorator(node: ast.ClassDef) -> ast.expr | None:
    """The one that makes it a class of values."""
    for decorator in node.decorator_list:
        called = decorator.func if isinstance(decorator, ast.Call) else decorator
        if isinstance(called, ast.Name) and called.id in ("dataclass", "record"):
            if len(node.decorator_list) > 1:
                raise Unknown(f"{node.name}: more than one decorator")
            return decorator
    return None


def _shape(node: ast.ClassDef, known: Mapping[str, Shape]) -> Shape:
    decorator = _decorator(node)
    options = {}
    if isinstance(decorator, ast.Call):
        options = {item.arg: ast.literal_eval(item.value) for item in decorator.keywords}
    if unknown := options.keys() - {"frozen", "slots", "unsafe_hash"}:
        raise Unknown(f"{node.name}: {', '.join(sorted(map(str, unknown)))}")
    inherited = [field for base in _bases(node) if base in known for field in known[base].fields]
    own = [_field(item) for item in _annotated(node)]
    record = isinstance(decorator, ast.Name) and decorator.id == "record"
    hashed = record or bool(options.get("frozen") or options.get("unsafe_hash"))
    if any(field.default is field.factory is None for field in inherited):
        raise Unknown(f"{node.name} inherits a field without a default")
    return Shape(node.name, tuple(own), tuple(inherited), hashed)


def _annotated(node: ast.ClassDef) -> list[ast.AnnAssign]:
    return [
        item
        for item in node.body
        if isinstance(item, ast.AnnAssign) and not ast.unparse(item.annotation).startswith("Class")
    ]


def _field(item: ast.AnnAssign) -> Field:
    assert isinstance(item.target, ast.Name)
    name, type_ = item.target.id, ast.unparse(item.annotation)
    match item.value:
        case None:
            return Field(name, type_)
        case ast.Call(func=ast.Name(id="field"), keywords=keywords):
            given = {one.arg: one.value for one in keywords}
            if unknown := given.keys() - {"default", "default_factory", "init"}:
                raise Unknown(f"field {name}: {', '.join(sorted(map(str, unknown)))}")
            default, factory = given.get("default"), given.get("default_factory")
            return Field(
                name,
                type_,
                None if default is None else ast.unparse(default),
                None if factory is None else ast.unparse(factory),
                ast.literal_eval(given["init"]) if "init" in given else True,
            )
        case value:
            return Field(name, type_, ast.unparse(value))


def _rewritten(
    text: str, tree: ast.Module, shapes: Mapping[str, Shape], bases: Iterable[str]
) -> str:
    """From the end to the beginning, so that places stay what they are."""
    lines = text.splitlines(keepends=True)
    made: list[str] = []
    declared = False
    for node in reversed(tree.body):
        if (name := _constant(node)) is not None:
            line = lines[node.lineno - 1]
            lines[node.lineno - 1] = f"{name}: _Final{line[len(name) :]}"
            declared = True
        decorator = _decorator(node) if isinstance(node, ast.ClassDef) else None
        if decorator is None or not isinstance(node, ast.ClassDef):
            continue
        shape = shapes[node.name]
        assert node.end_lineno is not None
        lines[node.end_lineno : node.end_lineno] = _methods(node, shape)
        for item in reversed(_annotated(node)):
            _blank(lines, item)
        assert decorator.end_lineno is not None
        final = [] if node.name in bases else ["@_final\n"]
        lines[decorator.lineno - 1 : decorator.end_lineno] = final
        made.append(_as_dataclass(shape))
    if not made and not declared:
        return text
    return "".join(lines).replace(FUTURE, FUTURE + IMPORTS, 1) + "\n" + "".join(reversed(made))


def _constant(node: ast.stmt) -> str | None:
    """The name of what is set once and never again."""
    match node:
        case ast.Assign(targets=[ast.Name(id=name)]) if name.isupper():
            return name
        case _:
            return None


def _blank(lines: list[str], item: ast.AnnAssign) -> None:
    """Takes a field's default away: the constructor has it."""
    if item.value is None:
        return
    annotation, value = item.annotation, item.value
    assert annotation.end_lineno is not None and annotation.end_col_offset is not None
    assert value.end_lineno is not None and value.end_col_offset is not None
    head = lines[annotation.end_lineno - 1].encode()[: annotation.end_col_offset]
    tail = lines[value.end_lineno - 1].encode()[value.end_col_offset :]
    place = slice(annotation.end_lineno - 1, value.end_lineno)
    lines[place] = [(head + tail).decode()]


def _methods(node: ast.ClassDef, shape: Shape) -> list[str]:
    there = {item.name for item in node.body if isinstance(item, ast.FunctionDef)}
    given = [field for field in shape.fields if field.init]
    names = [field.name for field in shape.fields]
    rows = [f"__match_args__: _Final = ({_listed(repr(field.name) for field in given)})"]
    rows += _constructor(shape, post="__post_init__" in there)
    if "__eq__" not in there:
        alike = " and ".join(f"self.{name} == other.{name}" for name in names) or "True"
        rows.append("def __eq__(self, other: object) -> bool:")
        rows.append(f"    return isinstance(other, {shape.name}) and {alike}")
        if shape.hashed:
            rows.append("def __hash__(self) -> int:")
            rows.append(f"    return hash(({_listed(f'self.{name}' for name in names)}))")
    if "__repr__" not in there:
        shown = ", ".join(f"{name}={{self.{name}!r}}" for name in names)
        rows.append("def __repr__(self) -> str:")
        rows.append(f'    return f"{shape.name}({shown})"')
    return [f"    {row}\n" for row in rows]


def _constructor(shape: Shape, *, post: bool) -> list[str]:
    """By keyword only where fields are inherited: their types may be names of another module, so
    that they are left to the base's constructor, and places would not be what they were."""
    parameters, sets = ["self"], []
    if shape.inherited:
        parameters += ["*"] if any(field.init for field in shape.own) else []
        sets.append("super().__init__()")
    for field in shape.own:
        name = field.name
        value = f"({field.factory})()" if field.factory else field.default
        if not field.init:
            if value is not None:
                sets.append(f"self.{name} = {value}  # type: ignore")
        elif field.factory:
            parameters.append(f"{name}: {field.type} | None = None")
            sets.append(f"self.{name} = {value} if {name} is None else {name}  # type: ignore")
        else:
            parameters.append(f"{name}: {field.type}" + (f" = {value}" if value else ""))
            sets.append(f"self.{name} = {name}")
    if post:
        sets.append("self.__post_init__()")
    head = f"def __init__({', '.join(parameters)}) -> None:"
    return [head, *(f"    {row}" for row in sets or ["pass"])]


def _as_dataclass(shape: Shape) -> str:
    """What :mod:`dataclasses` asks a class for (``fields``, ``replace``), of one that is alike."""
    fields = ", ".join(f"({field.name!r}, {field.type!r})" for field in shape.fields if field.init)
    twin = f"_make_dataclass({shape.name!r}, [{fields}])"
    name = '"__dataclass_fields__"'
    return f"setattr({shape.name}, {name}, getattr({twin}, {name}))\n"


def _listed(items: Iterable[str]) -> str:
    """As the inside of a tuple."""
    return "".join(f"{item}, " for item in items)
