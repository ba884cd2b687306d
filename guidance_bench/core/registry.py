"""Registries of backbones, methods, solvers, benchmarks and metrics.

Three doors lead in: the project's own content package, a user's file (``method=my_method.py``) and the entry points of
an installed package. All three run the same decorator, so nothing of ours is registered in a way that others cannot
use.
"""

from __future__ import annotations

import dataclasses
import dis
import hashlib
import importlib
import importlib.util
import inspect
import linecache
import pkgutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any, Generic, TypeVar

from .code import OURS, check_neighbours, hash_of_cell, hash_of_class, remember
from .declaration import as_dataclass
from .errors import UserError, unknown
from .parameters import Configurable, Parameter, check_names, fields_of

T = TypeVar("T", bound=Configurable)
C = TypeVar("C", bound=type)


@dataclasses.dataclass(frozen=True)
class Entry:
    """One registered class and where it comes from."""

    name: str
    cls: type
    file: str
    source: str  # "built in", "file", "notebook" or the name of the installed package
    text: str | None = None  # of a class that stands in no file: the notebook's cell
    package: str | None = None  # name and version of the installed package

    @property
    def line(self) -> int:
        """Where the class begins; 0 where its text is not at hand. Looked up when asked: it takes a parser."""
        try:
            return inspect.getsourcelines(self.cls)[1]
        except (OSError, TypeError):
            return 0

    @property
    def origin(self) -> str:
        """``path:line`` of the class."""
        return f"{self.file}:{self.line}"

    @property
    def sha256(self) -> str | None:
        """Hash of the code of what is not our own (:mod:`.code`); None for built-in content, which has a version."""
        if self.source == "built in":
            return None
        return hash_of_class(self.cls, self.file) if self.text is None else hash_of_cell(self.cls, self.text)

    @property
    def code(self) -> dict[str, Any]:
        """What names the code in a run's specification.

        ``plugin_sha256`` of a plug-in, with ``package`` where it is installed; ``version`` of built-in content from 2
        on, so that what never changed keeps its name.
        """
        if self.source != "built in":
            return {"plugin_sha256": self.sha256, **({"package": self.package} if self.package else {})}
        version = getattr(self.cls, "version", 1)
        return {"version": version} if version > 1 else {}


class Registry(Generic[T]):
    """Names to dataclasses of one kind, filled on first use.

    Args:
        kind: what an entry is called in messages: "method", "solver", ...
        package: module or package that holds the built-in entries.
        base: the class that every entry derives from.
        group: entry-point group of plug-ins; None: the name of the package.
    """

    def __init__(self, kind: str, package: str, base: Callable[[], type[T]], group: str | None = None) -> None:
        self.kind = kind
        self.package = package
        self.group = group or package
        self._base = base
        self._entries: dict[str, Entry] = {}
        self._broken: dict[str, str] = {}
        self._loaded = False
        self._source: str | None = None  # of what registers now; None: whoever imports us
        self._package: str | None = None

    # -- looking up

    def names(self) -> list[str]:
        """Every registered name, sorted."""
        self._discover()
        return sorted(self._entries)

    def entry(self, name: str) -> Entry:
        """The entry called ``name``; :class:`UserError` with the closest name where there is none."""
        self._discover()
        if name in self._entries:
            return self._entries[name]
        if name in self._broken:
            raise UserError(f"{self.kind} {name!r} is broken: {self._broken[name]}")
        raise unknown(self.kind, name, self._entries, in_files=True)

    def parameters(self, name: str) -> list[Parameter]:
        """The parameters of an entry, in the order of declaration."""
        return list(fields_of(self.entry(name).cls))

    def create(self, name: str, **parameters: Any) -> T:
        """Make an instance; an unknown or ill-typed parameter is a :class:`UserError`."""
        cls = self.entry(name).cls
        check_names(f"{self.kind} {name!r}", cls, parameters)
        instance: T = cls(**parameters)
        return instance

    def broken(self) -> dict[str, str]:
        """Plug-ins that could not be loaded, with the reason in one line."""
        self._discover()
        return dict(self._broken)

    # -- registering

    def register(self, name: str) -> Callable[[C], C]:
        """Class decorator: make the class a dataclass and enter it under ``name``."""

        def decorate(cls: C) -> C:
            base: type = self._base()
            if not issubclass(cls, base):
                raise UserError(f"{self.kind} {name!r}: {cls.__name__} does not derive from {base.__name__}")
            try:
                as_dataclass(cls, base, name)
            except UserError as error:
                raise UserError(f"{self.kind} {name!r} in {_place(cls)!r}: {error}") from error
            cls.name = name  # type: ignore[attr-defined]
            self._add(name, cls)
            return cls

        return decorate

    def _add(self, name: str, cls: type) -> None:
        file, text = self._home(name, cls)
        entry = Entry(name, cls, file, self._from(cls, text), text, self._package)
        known = self._entries.get(name)
        again = known and text is not None and known.text is not None  # a cell that is run again
        if known and not again and (known.file, known.cls.__qualname__) != (entry.file, cls.__qualname__):
            raise UserError(f"{self.kind} {name!r} is registered twice: at {known.origin} and at {entry.origin}")
        self._entries[name] = entry
        _ = entry.sha256  # its source and what it has imported are read now, as they are executed

    def _from(self, cls: type, text: str | None) -> str:
        if text is not None:
            return "notebook"
        if self._source is None:
            return "built in" if cls.__module__.partition(".")[0] == OURS else "file"
        return self._source

    def _home(self, name: str, cls: type) -> tuple[str, str | None]:
        """The file that defines a class, or a name and the text of the notebook's cell."""
        for origin in _written_in(cls):
            if Path(origin).is_file():
                return str(Path(origin).resolve()), None
            text = "".join(linecache.getlines(origin))
            if f"class {cls.__name__}" in text:
                return origin, text
        raise UserError(
            f"{self.kind} {name!r}: the source of class {cls.__name__} cannot be read, and runs are named by it: "
            f"put the class into a file or a notebook's cell"
        )

    # -- loading

    def load_file(self, path: str | Path) -> list[str]:
        """Run a user's Python file and return the names that it registered.

        Raises:
            UserError: the file is missing, does not run, or registers nothing of this kind.
        """
        self._discover()
        file = Path(path).expanduser().resolve()
        if not file.is_file():
            raise UserError(f"{self.kind} file {str(path)!r} does not exist")
        before = dict(self._entries)
        try:
            self._run(file, "file")
        except BaseException:
            self._entries = before  # a file that fails half-way leaves nothing
            raise
        new = [n for n, e in self._entries.items() if e.file == str(file) and before.get(n) is not e]
        if not new:
            raise UserError(
                f"{self.kind} file {str(path)!r} registers no {self.kind}: decorate a class with @register_{self.kind}"
            )
        return new

    def _run(self, file: Path, source: str) -> None:
        module_name = f"guidance_bench_user_{hashlib.sha256(str(file).encode()).hexdigest()[:8]}_{file.stem}"
        spec = importlib.util.spec_from_file_location(module_name, file)
        if spec is None or spec.loader is None:
            raise UserError(f"{self.kind} file {str(file)!r} is not a Python file")
        module = importlib.util.module_from_spec(spec)
        sys.modules[module_name] = module  # dataclass resolves annotations through it
        if str(file.parent) not in sys.path:
            sys.path.append(str(file.parent))  # modules beside it, as for a script
        try:
            data = file.read_bytes()
            remember(module, data)
            with self._registering(source):
                exec(compile(data, str(file), "exec"), vars(module))
            check_neighbours(module, file)
        except BaseException as error:
            if interrupted(error):
                raise
            reason = str(error) if isinstance(error, UserError) else _one_line(error)
            raise UserError(f"{self.kind} file {str(file)!r} cannot be loaded: {reason}") from error

    @contextmanager
    def _registering(self, source: str, package: str | None = None) -> Iterator[None]:
        """What registers inside comes from there."""
        previous = self._source, self._package
        self._source, self._package = source, package
        try:
            yield
        finally:
            self._source, self._package = previous

    def _discover(self) -> None:
        if self._loaded:
            return
        self._loaded = True
        module = importlib.import_module(self.package)
        for info in pkgutil.iter_modules(getattr(module, "__path__", [])):
            importlib.import_module(f"{self.package}.{info.name}")
        for point in entry_points(group=self.group):
            self._load_entry_point(point)

    def _load_entry_point(self, point: EntryPoint) -> None:
        name, package = (
            (point.dist.name, f"{point.dist.name} {point.dist.version}") if point.dist else ("plug-in", None)
        )
        try:
            with self._registering(name, package):
                loaded = point.load()
                registered = any(e.cls is loaded for e in self._entries.values())
                if inspect.isclass(loaded) and not registered:
                    self.register(point.name)(loaded)
        except BaseException as error:  # a broken plug-in is listed, it does not stop the others
            if interrupted(error):
                raise
            self._broken[point.name] = str(error) if isinstance(error, UserError) else _one_line(error)


def interrupted(error: BaseException) -> bool:
    """Whether a person stopped the program, rather than a plug-in that raises KeyboardInterrupt itself."""
    trace = error.__traceback__
    if not isinstance(error, KeyboardInterrupt) or trace is None:
        return False
    while trace.tb_next is not None:
        trace = trace.tb_next
    return trace.tb_frame.f_code.co_code[trace.tb_lasti] != dis.opmap["RAISE_VARARGS"]


def _place(cls: type) -> str:
    return next(iter(_written_in(cls)), "") or cls.__module__


def _written_in(cls: type) -> list[str]:
    """Where a class's own functions were compiled: what ``exec`` made claims the file of the module that it ran in."""
    functions = [
        f for n, f in vars(cls).items() if inspect.isfunction(f) and not (n.startswith("__") and n != "__call__")
    ]
    origins = sorted({f.__code__.co_filename for f in functions})
    if origins:
        return origins
    try:
        return [inspect.getsourcefile(cls) or ""]
    except (OSError, TypeError):
        return []


def _one_line(error: BaseException) -> str:
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
