"""What names the code of a plug-in: the source that ran, the local modules that it imports, versions of our own."""

from __future__ import annotations

import hashlib
import importlib
import linecache
import sys
import types

import pytest

import guidance_bench as gb
from guidance_bench.core.code import hash_of_class, remember

METHOD = """
import {helper}
from guidance_bench import Guidance, register_method

@register_method("{name}")
class Method(Guidance):
    scale: float = 1.5

    def guide(self, step, query):
        return (yield query) * {helper}.FACTOR
"""


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A folder whose modules can be imported, forgotten afterwards."""
    monkeypatch.syspath_prepend(str(tmp_path))
    before = set(sys.modules)
    yield tmp_path
    for name in [n for n in set(sys.modules) - before if n.startswith("cm_")]:
        sys.modules.pop(name)


def load(path, name: str) -> str:
    gb.METHODS.load_file(path)
    return str(gb.METHODS.entry(name).sha256)


def test_a_file_alone_is_named_by_its_bytes(place):
    path = place / "mine.py"
    path.write_text(METHOD.format(helper="math", name="code_alone").replace("FACTOR", "pi"))
    assert load(path, "code_alone") == hashlib.sha256(path.read_bytes()).hexdigest()


def test_a_local_module_that_it_imports_counts_and_what_that_imports(place):
    (place / "cm_deep.py").write_text("VALUE = 1.0\n")
    (place / "cm_helper.py").write_text("from cm_deep import VALUE\nFACTOR = VALUE\n")
    path = place / "mine.py"
    path.write_text(METHOD.format(helper="cm_helper", name="code_deep"))
    first = load(path, "code_deep")
    for name, text in (("cm_deep", "VALUE = 2.0\n"), ("cm_helper", "from cm_deep import VALUE\nFACTOR = 3 * VALUE\n")):
        (place / f"{name}.py").write_text(text)
        assert load(path, "code_deep") == first, "what runs is still the old module"
        for loaded in ("cm_deep", "cm_helper"):
            sys.modules.pop(loaded)
        second = load(path, "code_deep")
        assert second != first
        first = second


def test_a_reloaded_module_is_read_again(place):
    (place / "cm_again.py").write_text("FACTOR = 1.0\n")
    path = place / "mine.py"
    path.write_text(METHOD.format(helper="cm_again", name="code_again"))
    first = load(path, "code_again")
    (place / "cm_again.py").write_text("FACTOR = 1.0 + 1\n")
    importlib.reload(sys.modules["cm_again"])
    assert load(path, "code_again") != first


def test_the_hash_is_that_of_the_code_that_ran_not_of_the_file_as_it_is_now(place):
    path = place / "mine.py"
    path.write_text(METHOD.format(helper="math", name="code_ran").replace("FACTOR", "pi"))
    first = load(path, "code_ran")
    path.write_text(path.read_text() + "# edited while it runs\n")
    assert gb.METHODS.entry("code_ran").sha256 == first
    assert load(path, "code_ran") != first


def test_a_module_imported_inside_a_function_counts(place):
    (place / "cm_late.py").write_text("FACTOR = 1.0\n")
    path = place / "mine.py"
    text = METHOD.format(helper="math", name="code_late")
    path.write_text(
        text.replace("        return", "        import cm_late\n        return").replace("math.F", "cm_late.F")
    )
    first = load(path, "code_late")
    (place / "cm_late.py").write_text("FACTOR = 2.0\n")
    assert load(path, "code_late") != first


def test_a_package_beside_it_counts_by_its_files(place):
    (place / "cm_package").mkdir()
    (place / "cm_package" / "__init__.py").write_text("")
    (place / "cm_package" / "parts.py").write_text("from .more import FACTOR\n")
    (place / "cm_package" / "more.py").write_text("FACTOR = 1.0\n")
    path = place / "mine.py"
    text = METHOD.format(helper="cm_package", name="code_package").replace("import cm_package", "", 1)
    path.write_text("from cm_package import parts as cm_package\n" + text)
    first = load(path, "code_package")
    (place / "cm_package" / "more.py").write_text("FACTOR = 2.0\n")
    for name in [n for n in sys.modules if n.startswith("cm_package")]:
        sys.modules.pop(name)
    assert load(path, "code_package") != first


def test_installed_packages_do_not_count(place):
    installed = place / "site-packages"
    installed.mkdir()
    (installed / "cm_installed.py").write_text("FACTOR = 1.0\n")
    listed = place / "target"
    (listed / "some-1.0.dist-info").mkdir(parents=True)
    (listed / "some-1.0.dist-info" / "RECORD").write_text("cm_listed.py,sha256=x,1\n")
    (listed / "cm_listed.py").write_text("FACTOR = 1.0\n")
    sys.path[:0] = [str(installed), str(listed)]
    try:
        path = place / "mine.py"
        path.write_text("import cm_listed, torch\n" + METHOD.format(helper="cm_installed", name="code_installed"))
        assert load(path, "code_installed") == hashlib.sha256(path.read_bytes()).hexdigest()
    finally:
        del sys.path[:2]


def test_modules_of_an_installed_plugins_own_package_count(tmp_path, monkeypatch):
    package = tmp_path / "site-packages" / "cm_dist"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("")
    (package / "other.py").write_text("FACTOR = 1.0\n")
    (package / "entry.py").write_text("from . import other\nclass Thing: ...\n")
    monkeypatch.syspath_prepend(str(tmp_path / "site-packages"))
    hashes = []
    for factor in ("1.0", "2.0"):
        (package / "other.py").write_text(f"FACTOR = {factor}\n")
        for name in [n for n in sys.modules if n.startswith("cm_dist")]:
            sys.modules.pop(name)
        importlib.invalidate_caches()
        thing = importlib.import_module("cm_dist.entry").Thing
        hashes.append(hash_of_class(thing, str(package / "entry.py")))
    assert hashes[0] != hashes[1]


def test_a_class_of_an_imported_module_is_a_file_not_built_in(place):
    (place / "cm_script.py").write_text(METHOD.format(helper="math", name="code_script"))
    importlib.import_module("cm_script")
    entry = gb.METHODS.entry("code_script")
    assert entry.source == "file" and entry.sha256 == hashlib.sha256((place / "cm_script.py").read_bytes()).hexdigest()


def test_a_file_may_import_what_lies_beside_it(tmp_path):
    (tmp_path / "cm_beside.py").write_text("FACTOR = 1.0\n")
    (tmp_path / "mine.py").write_text(METHOD.format(helper="cm_beside", name="code_beside"))
    assert gb.METHODS.load_file(tmp_path / "mine.py") == ["code_beside"]
    sys.path.remove(str(tmp_path))
    sys.modules.pop("cm_beside")


def test_two_files_that_import_different_modules_of_one_name_are_not_mixed_up(place):
    """Python knows one module of a name: the second file would run the first one's helper."""
    for folder in ("one", "two"):
        (place / folder).mkdir()
        (place / folder / "cm_utils.py").write_text(f"FACTOR = {len(folder)}.0\n")
        (place / folder / "mine.py").write_text(METHOD.format(helper="cm_utils", name=f"code_{folder}"))
    assert gb.METHODS.load_file(place / "one" / "mine.py") == ["code_one"]
    with pytest.raises(gb.UserError, match=r"imports 'cm_utils' and gets '.*one/cm_utils\.py', not the one beside it"):
        gb.METHODS.load_file(place / "two" / "mine.py")
    assert "code_two" not in gb.METHODS.names()
    for folder in ("one", "two"):
        sys.path.remove(str(place / folder))


def test_a_notebooks_class_is_named_by_the_cells_that_it_refers_to():
    space: dict[str, object] = {"__name__": "__main__"}

    def run_cell(text: str, origin: str) -> None:
        linecache.cache[origin] = (len(text), None, text.splitlines(keepends=True), origin)
        exec(compile(text, origin, "exec"), space)

    hashes = []
    for factor in (1, 2, 1):
        run_cell(f"def helper(v):\n    return {factor} * v\n", f"<code-cell-{factor}>")
        text = (
            "from guidance_bench import Guidance\nclass Refers(Guidance):\n"
            "    def guide(self, step, query):\n        return helper((yield query))\n"
        )
        run_cell(text, "<code-cell-class>")
        gb.METHODS.register("code_refers")(space["Refers"])  # type: ignore[arg-type]
        hashes.append(gb.METHODS.entry("code_refers").sha256)
    assert hashes[0] == hashes[2] != hashes[1]


def test_the_version_of_built_in_content_is_said_from_two_on(monkeypatch):
    entry = gb.METHODS.entry("cfg")
    assert entry.sha256 is None and entry.code == {}
    monkeypatch.setattr(entry.cls, "version", 2)
    assert gb.METHODS.entry("cfg").code == {"version": 2} and gb.METHODS.entry("apg").code == {}


def test_what_is_remembered_is_what_was_given():
    module = types.ModuleType("cm_given")
    assert remember(module, b"x = 1") == b"x = 1" == remember(module)
