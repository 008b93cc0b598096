"""YAML and JSON documents of people: read with line numbers, within limits, each key once.

JSON is read as the YAML that it is. Only module that imports PyYAML.
"""

import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import yaml

from zato_lite.errors import BadInputError

_MIN_SIZE_LIMIT = 1_000_000
_MAX_GROWTH = 10
_MAX_NESTING = 100
_MAX_DIGITS = 1_000
_MAX_MERGED_MAPPINGS = 10
_MAX_MERGED_KEYS = 100_000
_LEADING_TABS = re.compile(r"^[ \t]+", re.MULTILINE)
_SURROGATES = re.compile(
    r"(?<!\\)((?:\\\\)*)\\u(d[89ab][0-9a-f]{2})\\u(d[c-f][0-9a-f]{2})", re.IGNORECASE
)
_JSON_FLOAT = re.compile(r"-?(?:0|[1-9]\d*)(?:\.\d+)?[eE][-+]?\d+\Z")
_MERGE = "tag:yaml.org,2002:merge"
_TEXT = "tag:yaml.org,2002:str"

_dumper: Any = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
if TYPE_CHECKING:
    _Base = yaml.SafeLoader
else:
    _Base = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # ten times as fast


class Item(NamedTuple):
    """An object in a list of a document.

    Attributes:
        value: the object; another value where the document has one.
        line: the number of its first line.
        lines: the line number of each of its keys.
    """

    value: Any
    line: int
    lines: Mapping[str, int]


class Document(NamedTuple):
    """An object at the top of a document: its values, and the line number of each of its keys.

    Attributes:
        items: the items of each value that is a list.
    """

    values: Mapping[Any, Any]
    lines: Mapping[Any, int]
    items: Mapping[Any, list[Item]]


def read_document(text: str) -> Document:
    """Return the object that a YAML or JSON document holds; an empty document has no keys.

    Raises:
        BadInputError: the document is not valid, has a key twice in one object, or is not an
            object; the message has the line number.
    """
    try:
        loader = _loader(text)
        try:
            root = loader.get_single_node()
            if root is None:
                return Document({}, {}, {})
            loader.check(root)
            content = loader.construct_document(root)
        finally:
            loader.dispose()
        size = _size(content, {})
    except RecursionError:
        raise BadInputError("not valid YAML: nested too deeply") from None
    except (yaml.YAMLError, ArithmeticError, LookupError, TypeError, ValueError) as error:
        raise BadInputError(f"not valid YAML: {_on_one_line(error)}") from error
    except AttributeError as error:  # PyYAML's, for a tag that does not fit
        raise BadInputError("not valid YAML: a value does not match its tag") from error
    if size > _MIN_SIZE_LIMIT + _MAX_GROWTH * len(text):
        raise BadInputError("YAML aliases expand to far more than the document's size")
    if content is None:
        return Document({}, {}, {})
    if not isinstance(content, Mapping) or not isinstance(root, yaml.MappingNode):
        raise BadInputError("an object with a list `scheduler` is expected")
    return _located(root, content)


def write_document(content: Any) -> str:
    """Return the content as a YAML document."""
    written: str = yaml.dump(
        content, Dumper=_dumper, sort_keys=False, allow_unicode=True, width=10_000
    )
    return written


def _loader(text: str) -> "_Loader":
    """Return the loader of a text; in JSON, tabs may indent, and escapes may be surrogates."""
    if text.lstrip()[:1] not in ("{", "["):
        return _Loader(text)
    text = _LEADING_TABS.sub(lambda match: " " * len(match[0]), text)
    return _JsonLoader(_SURROGATES.sub(_letter, text))


def _letter(pair: re.Match[str]) -> str:
    both = chr(int(pair[2], 16)) + chr(int(pair[3], 16))
    return pair[1] + both.encode("utf-16", "surrogatepass").decode("utf-16")


def _located(root: yaml.MappingNode, content: Mapping[Any, Any]) -> Document:
    lines: dict[Any, int] = {}
    items: dict[Any, list[Item]] = {}
    for key, node in root.value:
        lines[key.value] = _line(key)
        values = content.get(key.value)
        if isinstance(values, list) and isinstance(node, yaml.SequenceNode):
            items[key.value] = [
                Item(value, _line(each), _lines(each))
                for value, each in zip(values, node.value, strict=True)
            ]
    return Document(content, lines, items)


def _lines(node: yaml.Node) -> dict[str, int]:
    if not isinstance(node, yaml.MappingNode):
        return {}
    return {str(key.value): _line(key) for key, _ in node.value}


def _line(node: yaml.Node) -> int:
    line: int = node.start_mark.line
    return line + 1


def _on_one_line(error: Exception) -> str:
    """Return an error's text; PyYAML's has the place in lines of their own."""
    if isinstance(error, yaml.MarkedYAMLError) and (mark := error.problem_mark) is not None:
        context = f"{error.context}: " if error.context else ""
        return f"line {mark.line + 1}, column {mark.column + 1}: {context}{error.problem}"
    return str(error)


def _size(value: Any, known: dict[int, int]) -> int:
    """Return the number of values and letters; those of an alias count each time."""
    if isinstance(value, str | bytes):
        return len(value) + 1
    if isinstance(value, int) and not -(2**63) <= value < 2**64:
        raise ValueError("an integer does not fit in 64 bits")
    if not isinstance(value, dict | list | tuple):
        return 1
    size = known.get(id(value))
    if size is None:
        parts = value.values() if isinstance(value, dict) else value
        size = known[id(value)] = 1 + sum(_size(part, known) for part in parts)
    return size


class _Loader(_Base):
    """YAML loader without dates (a start date stays text), with limited nesting and merges."""

    merged = 0

    def check(self, root: yaml.Node) -> None:
        """Refuse what is nested too deeply, and keys that occur twice in one object.

        This comes before merges, which may override keys.
        """
        seen = {id(root)}
        level = [root]
        for _ in range(_MAX_NESTING + 1):
            parts = {id(part): part for node in level for part in self._parts(node)}
            level = [part for key, part in parts.items() if key not in seen]
            seen.update(parts)
            if not level:
                return
        raise yaml.MarkedYAMLError(problem="nested too deeply", problem_mark=level[0].start_mark)

    def _parts(self, node: yaml.Node) -> Iterator[yaml.Node]:
        """Yield the keys and values of a node that have parts themselves."""
        if isinstance(node, yaml.MappingNode):
            keys: dict[Any, int] = {}
            for key, value in node.value:
                if isinstance(key, yaml.ScalarNode):
                    self._check_key(key, keys)
                else:
                    yield key
                if not isinstance(value, yaml.ScalarNode):
                    yield value
        elif isinstance(node, yaml.SequenceNode):
            yield from (part for part in node.value if not isinstance(part, yaml.ScalarNode))

    def _check_key(self, key: yaml.ScalarNode, keys: dict[Any, int]) -> None:
        if key.tag == _MERGE:
            return
        value = key.value if key.tag == _TEXT else self.construct_object(key)
        if value in keys:
            problem = f"duplicate key {key.value!r}, also in line {keys[value]}"
            raise yaml.MarkedYAMLError(problem=problem, problem_mark=key.start_mark)
        keys[value] = _line(key)

    def flatten_mapping(self, node: yaml.MappingNode) -> None:
        before = len(node.value)
        for key, value in node.value:
            is_many = isinstance(value, yaml.SequenceNode) and key.tag == _MERGE
            if is_many and len(value.value) > _MAX_MERGED_MAPPINGS:
                raise yaml.YAMLError(
                    f"more than {_MAX_MERGED_MAPPINGS} mappings are merged together"
                )
        super().flatten_mapping(node)
        self.merged += max(0, len(node.value) - before)
        if self.merged > _MAX_MERGED_KEYS:
            raise yaml.YAMLError(f"more than {_MAX_MERGED_KEYS} keys are merged")


_Loader.yaml_implicit_resolvers = {
    first: [pair for pair in pairs if pair[0] != "tag:yaml.org,2002:timestamp"]
    for first, pairs in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def _whole_number(loader: Any, node: yaml.ScalarNode) -> Any:
    """Return a whole number; PyYAML takes quadratic time for ``1:1:1:…``, a number to base 60."""
    if len(node.value) > _MAX_DIGITS:
        raise yaml.MarkedYAMLError(problem="a number too long", problem_mark=node.start_mark)
    return yaml.SafeLoader.construct_yaml_int(loader, node)


_Loader.add_constructor("tag:yaml.org,2002:int", _whole_number)


class _JsonLoader(_Loader):
    """Loader that knows JSON's numbers with an exponent, which are texts in YAML 1.1."""


_JsonLoader.add_implicit_resolver("tag:yaml.org,2002:float", _JSON_FLOAT, [*"-0123456789"])
